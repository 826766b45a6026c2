/** The double as a program that terraform installs and starts by itself. `schema.json` lies beside it. */
import { readFileSync } from 'node:fs'
import { serveProvider } from '../../clients/terraform-provider/src/core/serve.ts'
import { makeDouble } from './aws-double.ts'
import type { AwsSchema } from './aws-schema.ts'

// Written by `terraform.ts` from the type that it is read as.
const schema = JSON.parse(readFileSync(`${import.meta.dirname}/schema.json`, 'utf8')) as AwsSchema
serveProvider(makeDouble(schema), process.env)
