/** The tests of the API once more, on Lambda: intent with its preconditions and history, and an agent of ours. */
import { test } from 'node:test'
import { runOnLambda } from './run-on-lambda.ts'

for (const name of ['intent', 'agent']) {
  test(`test/api/${name}.test.ts holds on Lambda`, () => runOnLambda(name))
}
