// A runtime client of Lambda in a few lines, for machines without the real one: loads FILE.EXPORT of the working
// folder, then asks the Runtime API for one event after the other. `node plain-client.mjs lambda.handler`.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [file, name] = process.argv[2].split('.')
const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime`
const post = (path, body) =>
  fetch(`${api}${path}`, { method: 'POST', body: JSON.stringify(body) }).then((answer) =>
    answer.text(),
  )
const told = (error) => ({
  errorType: error?.name ?? 'Error',
  errorMessage: String(error?.message),
})

let handler
try {
  handler = (await import(pathToFileURL(join(process.cwd(), `${file}.mjs`))))[name]
} catch (error) {
  await post('/init/error', told(error))
  process.exit(1)
}
for (;;) {
  const next = await fetch(`${api}/invocation/next`)
  const id = next.headers.get('lambda-runtime-aws-request-id')
  const event = await next.json()
  try {
    const answer = await handler(event, { awsRequestId: id })
    await post(`/invocation/${id}/response`, answer)
  } catch (error) {
    await post(`/invocation/${id}/error`, told(error))
  }
}
