// Package proxy holds what the sidecar and the gateway share: the pod's credentials and
// the TLS that is made of them, listeners with limits, telemetry, and the servers for
// probes and metrics. What they are told is in package config; what they do with requests
// is in packages sidecar and gateway, which this one knows nothing of. It imports nothing
// of Kubernetes, since it runs beside every workload and has to stay small.
package proxy
