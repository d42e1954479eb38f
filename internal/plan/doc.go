// Package plan holds the sealed plan: what applying an environment's graph would
// change, unit by unit, with the digests of everything that it was made from, the
// file that it is kept in, and the approvals that name its seal.
//
// It knows neither OpenTofu nor policy: the engine fills a plan in, and what a
// policy said is text here. Making plans and carrying them out is the engine's
// business, showing them package view's.
package plan
