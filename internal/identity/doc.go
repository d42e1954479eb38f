// Package identity gives workloads their identities: it is the signer of pod
// certificates (certificates.k8s.io, PodCertificateRequest), which it answers with
// X.509-SVIDs, and the keeper of the authorities that vouch for them.
//
// An Authority knows the roots of one trust domain. Every replica of the control plane
// reads them (Follow); the one that leads (Lead) makes, publishes, rotates and withdraws
// them and signs what pods are entitled to. The roots and their phases lie in one Secret,
// each step is one write to it, and what else there is in the cluster (the
// ClusterTrustBundle, the status) follows from it, so a leader that is killed anywhere
// is simply gone on with.
//
// What belongs here is who gets which certificate, and the life of roots. How proxies
// use certificates is internal/proxy's business; the objects that run the signer are
// compile/kube's; the certificate authority of databases is another one, in
// provider/strata, and that of gateways, in webca.
package identity
