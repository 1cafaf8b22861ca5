// Run by Node with the npm package `openai`: what its users call, told as JSON.
import OpenAI from "openai";

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "Hello there" }];

const models = [];
for await (const each of client.models.list()) models.push(each.id);

const whole = await client.chat.completions.create({ model, messages, max_tokens: 6 });

let streamed = "";
let completionTokens = 0;
const stream = await client.chat.completions.create({
  model,
  messages,
  max_tokens: 6,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
  completionTokens = chunk.usage?.completion_tokens ?? completionTokens;
}

const rated = await client.chat.completions.create({ model, messages, max_tokens: 2, logprobs: true });
const object = await client.chat.completions.create({
  model,
  messages,
  response_format: { type: "json_object" },
});
const schema = { type: "json_schema", json_schema: { name: "n", schema: { type: "object" } } };
const unserved = await client.chat.completions
  .create({ model, messages, response_format: schema })
  .then(() => null, (error) => error.param);

const ran = [];
const runner = client.chat.completions.runTools({
  model,
  messages,
  tools: [
    {
      type: "function",
      function: {
        name: "count",
        parameters: { type: "object", properties: { words: { type: "array" } } },
        parse: JSON.parse,
        function: ({ words }) => String(ran.push(words) + 1),
      },
    },
  ],
});
const tools = { answer: await runner.finalContent(), ran };

const refusal = await client.chat.completions
  .create({ model: "no-such", messages })
  .then(() => null, (error) => ({ class: error.constructor.name, status: error.status, code: error.code }));

const embeddings = await client.embeddings.create({ model, input: ["Hello there", "Good bye"] });

console.log(
  JSON.stringify({
    models,
    text: whole.choices[0].message.content,
    streamed,
    completionTokens,
    rated: rated.choices[0].logprobs.content.map((each) => [each.token, each.logprob]),
    object: JSON.parse(object.choices[0].message.content),
    schema: unserved,
    tools,
    embeddings: embeddings.data.map((each) => each.embedding.length),
    unknown_model: refusal,
  }),
);
