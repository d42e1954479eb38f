// Package scaling is the metrics API for autoscalers (external.metrics.k8s.io): how many
// requests the pods of a workload get, counted by their sidecars, and how many messages
// wait in a queue, counted by its broker. It reads those that autoscalers ask for, and no
// others; it serves them through the library that the Kubernetes project keeps for such
// APIs. How many replicas follow from them is Kubernetes' business, and which metrics an
// autoscaler asks for that of internal/compile/kube.
package scaling
