// Package webca is the platform's authority for the certificates of an environment's
// Gateways, which people's browsers and programs trust. It is another one than that of
// workloads (internal/identity): who trusts this one trusts no workload for it, and it can
// vouch for none, since its certificate permits DNS names of the environment's domains and
// servers of TLS, and nothing else.
//
// The replica of the control plane that leads runs Lead. The authorities with their keys
// lie in one Secret of the secrets namespace; what else there is, the Gateways' Secrets and
// the ConfigMap with the certificates to trust, follows from it, so a leader that is killed
// anywhere is simply gone on with.
//
// What belongs here is the life of these authorities and of the Gateways' certificates.
// Which Gateways want one, for which names, is told by internal/gateway; how they serve
// them is internal/proxy/gateway's business.
package webca
