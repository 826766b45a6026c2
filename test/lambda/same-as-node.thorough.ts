/** All tests of the API that do not look into the server's process, on Lambda. */
import { test } from 'node:test'
import { runOnLambda } from './run-on-lambda.ts'

for (const name of ['cli', 'doctor', 'explain', 'openapi', 'overrides']) {
  test(`test/api/${name}.test.ts holds on Lambda`, () => runOnLambda(name))
}
