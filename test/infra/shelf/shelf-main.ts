/** The shelf as a program that terraform installs and starts. */
import { serveProvider } from '../../../clients/terraform-provider/src/core/serve.ts'
import { makeShelf } from './shelf-provider.ts'

const { SHELF_FOLDER = '/nonexistent', SHELF_DELAY_MS = '0' } = process.env
serveProvider(makeShelf(SHELF_FOLDER, Number(SHELF_DELAY_MS)), process.env)
