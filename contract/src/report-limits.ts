/** How many of each list a report carries at most; totals are counted apart. */
export const REPORT_LIST_MAX = 100

/** Characters. */
export const HELD_TEXT_MAX = 200
