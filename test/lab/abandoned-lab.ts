// Starts a lab, prints the pid of its guest, and waits to be killed: lab.test.ts proves with it that a
// guest never outlives the test that started it.
import { startLab } from './lab.ts'

const lab = await startLab()
console.log(lab.guestPid)
setInterval(() => undefined, 60_000)
