/** Every fault that the doctor knows, made one at a time. */
import { doctorSuite } from './doctor-suite.ts'

doctorSuite('thorough')
