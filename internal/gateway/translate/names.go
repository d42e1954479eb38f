package translate

import (
	"maps"
	"slices"
)

// Names are what clients may ask a gateway for by TLS, by the Secret beside it that its
// listeners refer to.
type Names struct {
	Secret string
	// Hosts are the hostnames of the listeners with this Secret and of the routes that are attached to them,
	// in order. Routes and listeners for all names add none.
	Hosts []string
	// Missing says that a listener has no certificate that can be used.
	Missing bool
}

// Names returns the names of a gateway's listeners with TLS, by Secret.
func (g *Gateway) Names() []Names {
	all, missing := map[string]map[string]bool{}, map[string]bool{}
	for _, l := range g.listeners {
		if !l.tls() || l.accepted.bad || l.conflicted.bad || l.spec.TLS == nil {
			continue
		}
		for _, ref := range l.spec.TLS.CertificateRefs {
			if or(ref.Group, "") != "" || or(ref.Kind, "Secret") != "Secret" || string(or(ref.Namespace, "")) != "" && string(*ref.Namespace) != g.Object.Namespace {
				continue
			}
			hosts := all[string(ref.Name)]
			if hosts == nil {
				hosts = map[string]bool{}
				all[string(ref.Name)] = hosts
			}
			hosts[l.hostname] = true
			missing[string(ref.Name)] = missing[string(ref.Name)] || len(l.certificates) == 0
			for _, a := range l.attached {
				for _, h := range a.hosts {
					hosts[h.common] = true
				}
			}
		}
	}
	var out []Names
	for _, secret := range slices.Sorted(maps.Keys(all)) {
		delete(all[secret], "")
		out = append(out, Names{secret, slices.Sorted(maps.Keys(all[secret])), missing[secret]})
	}
	return out
}
