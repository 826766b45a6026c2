/** The removal limit, as publish applies it; the rule itself is in the contract because agents hold it too. */
export { shrinkOf, type Shrink } from '@lvs-fleet/contract'
