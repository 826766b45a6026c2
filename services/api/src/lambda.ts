/**
 * The API as an AWS Lambda function: `handler` for HTTP and for the schedule. Opens while the instance starts; where
 * that fails, each request says why, and tries again, until it works.
 */
import type { LambdaContext } from 'hono/aws-lambda'
import { assembleLambda } from './assemble-lambda.ts'
import {
  isHttpEvent,
  makeEventHandler,
  refusalResult,
  type EventHandler,
} from './serverless/handle-event.ts'
import { jsonLog } from './serverless/json-log.ts'
import { parseLambdaEnv } from './serverless/lambda-env.ts'

const settings = parseLambdaEnv()
const log = jsonLog(settings.logLevel)

let opening: Promise<EventHandler> | undefined

async function open(): Promise<EventHandler> {
  opening ??= assembleLambda(settings, log).then((deps) =>
    makeEventHandler(deps, settings.agentMaxAgeMs),
  )
  try {
    return await opening
  } catch (error) {
    opening = undefined
    log.error({ err: error }, 'this instance cannot serve')
    throw error
  }
}

// Lambda gives a starting instance more of a processor than a running one. A failure is told to the first request.
await open().catch(() => {})

export const handler = async (event: unknown, context: LambdaContext) => {
  let handle: EventHandler
  try {
    handle = await open()
  } catch (error) {
    if (!isHttpEvent(event)) throw error
    return refusalResult(error)
  }
  return handle(event, context)
}
