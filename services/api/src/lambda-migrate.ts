/**
 * The step before a version serves: brings the tables up to date and, for a new database, makes the controller's key
 * and the first API key, each as a SecureString parameter. A function of its own, because it may do what serving may not.
 */
import { migrateForLambda } from './assemble-lambda.ts'
import { jsonLog } from './serverless/json-log.ts'
import { parseLambdaEnv } from './serverless/lambda-env.ts'

const settings = parseLambdaEnv()

export const handler = () => migrateForLambda(settings, jsonLog(settings.logLevel))
