// Run by Node with the npm package `openai`: after how many seconds it takes a call for lost.
import OpenAI from "openai";

console.log(JSON.stringify([new OpenAI({ apiKey: "none" }).timeout / 1000]));
