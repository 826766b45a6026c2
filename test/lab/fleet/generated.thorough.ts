/** Thousands of generated virtual services. */
import { generatedSuite } from './generated-suite.ts'

generatedSuite({ services: 600, generatedMin: 2_000 })
