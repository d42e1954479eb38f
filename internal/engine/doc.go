// Package engine carries out what the graph of an environment asks for: Preview
// says what would change and makes a sealed plan of it, Run carries a plan out.
// It is the one place that walks the graph concurrently. What happens to a single
// unit is a Runner's business: the engine declares that interface and knows
// neither OpenTofu nor Kubernetes.
//
// It prints nothing: progress leaves it as events, which package view shows.
package engine
