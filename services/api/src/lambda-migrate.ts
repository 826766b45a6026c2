/**
 * The step before a version serves: brings the tables up to date and, for a new database, makes the controller's key
 * and the first API key, each as a SecureString parameter. With {"task": "next-signing-key"} it makes the key that is to
 * follow instead. A function of its own, because it may do what serving may not.
 */
import * as z from 'zod'
import { makeNextKey, migrateForLambda, type Migrated, type NextKey } from './assemble-lambda.ts'
import { jsonLog } from './serverless/json-log.ts'
import { parseLambdaEnv } from './serverless/lambda-env.ts'

const settings = parseLambdaEnv()

const nextKeyEventSchema = z.looseObject({ task: z.literal('next-signing-key') })

export const handler = (event: unknown): Promise<Migrated | NextKey> =>
  nextKeyEventSchema.safeParse(event).success
    ? makeNextKey(settings)
    : migrateForLambda(settings, jsonLog(settings.logLevel))
