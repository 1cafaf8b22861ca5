// Every call of npm kubo-rpc-client that our server offers. Arguments: URL, folder, its v1 CID.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { create, globSource } from 'kubo-rpc-client'

const [url, folder, cidV1] = process.argv.slice(2)
const client = create({ url })
const options = { cidVersion: 1, rawLeaves: true }
const config = readFileSync(join(folder, 'config.json'))

const all = async (source) => {
  const items = []
  for await (const item of source) items.push(item)
  return items
}
const bytes = async (source) => Buffer.concat(await all(source))

const added = await all(
  client.addAll(globSource(folder, '**/*', { hidden: true }), { ...options, wrapWithDirectory: true })
)
assert.equal(added.at(-1).cid.toString(), cidV1)

const file = await client.add(config, options)
assert.deepEqual(await bytes(client.cat(file.cid)), config)
assert.deepEqual(await bytes(client.cat(file.cid, { offset: 2, length: 3 })), config.subarray(2, 5))

const entries = await all(client.ls(cidV1))
assert.equal(entries.find((entry) => entry.name === 'config.json').size, config.length)
assert.equal(entries.find((entry) => entry.name === 'a').type, 'dir')

await client.pin.rm(file.cid)
await client.pin.add(file.cid)
const pins = (await all(client.pin.ls({ type: 'recursive' }))).map((pin) => pin.cid.toString())
assert.ok(pins.includes(cidV1) && pins.includes(file.cid.toString()))

const block = await client.block.put(new Uint8Array([1, 2, 3]), { format: 'raw' })
assert.deepEqual([...(await client.block.get(block))], [1, 2, 3])
assert.equal((await client.block.stat(block)).size, 3)

const tar = await bytes(client.get(cidV1))
assert.ok(tar.includes(config))

const car = await bytes(client.dag.export(file.cid))
const imported = await all(client.dag.import([car]))
assert.equal(imported[0].root.cid.toString(), file.cid.toString())

assert.ok((await client.id()).id)
assert.ok((await client.version()).version)
assert.deepEqual(await client.swarm.peers(), [])
assert.ok((await client.repo.stat()).numObjects > 0n)
const removed = await all(client.repo.gc())
assert.ok(removed.some((item) => item.cid.toString() === block.toString()))
console.log('all calls ok')
