package kube

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

const (
	// TrustBundle is the ClusterTrustBundle with the certificate authority of a local
	// environment, which its databases and brokers have their certificates from. In
	// clouds these have certificates of public authorities.
	TrustBundle = "strata-platform-ca"
	trustVolume = "trust"
	trustPath   = "/etc/strata/trust"
	trustFile   = "platform-ca.pem"
	// trustVariable is what Go and OpenSSL read folders of certificates from.
	trustVariable = "SSL_CERT_DIR"
	trustValue    = "/etc/ssl/certs:" + trustPath
)

// trust lets the programs of a local environment's pod trust its certificate
// authority, as they trust public ones elsewhere.
func (r *renderer) trust(spec *corev1.PodSpec) {
	if !r.local() {
		return
	}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			c := &list[i]
			if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == trustPath }) {
				continue
			}
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: trustVolume, MountPath: trustPath, ReadOnly: true})
			if !slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == trustVariable }) {
				c.Env = append(c.Env, corev1.EnvVar{Name: trustVariable, Value: trustValue})
			}
		}
	}
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: trustVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{
			// A cluster of somebody else's may have no such authority.
			Name: ptr(TrustBundle), Path: trustFile, Optional: ptr(true),
		}}},
	}}})
}
