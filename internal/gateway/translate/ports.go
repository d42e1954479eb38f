package translate

import (
	"cmp"
	"maps"
	"slices"

	"github.com/stratahq/strata/internal/proxy/config"
)

// privileged is the first port that needs no privilege to listen on.
const privileged = 1024

// ports returns the ports of a gateway's Service: those of all listeners that are
// accepted, also of those that wait for a certificate.
func ports(all []*listener) []Port {
	public := map[int32]bool{}
	for _, l := range all {
		if !l.accepted.bad && !l.conflicted.bad {
			public[l.spec.Port] = true
		}
	}
	// Ports that pods cannot listen on move by 10,000, as far as those are free.
	listen := map[int32]int32{}
	taken := map[int32]bool{config.MetricsPort: true, config.HealthPort: true}
	for p := range public {
		if p >= privileged && !taken[p] {
			listen[p] = p
		}
	}
	for p := range listen {
		taken[p] = true
	}
	for _, p := range slices.Sorted(maps.Keys(public)) {
		if listen[p] != 0 {
			continue
		}
		at := p + 10_000
		if p >= privileged {
			at = p + 100 // one of our own
		}
		for taken[at] {
			at += privileged
		}
		listen[p], taken[at] = at, true
	}
	var out []Port
	for p, l := range listen {
		out = append(out, Port{Public: p, Listen: l})
	}
	slices.SortFunc(out, func(a, b Port) int { return cmp.Compare(a.Public, b.Public) })
	return out
}

// portConfigs returns the configuration of the ports that serve anything.
func portConfigs(all []*listener, list []Port) []config.Port {
	var out []config.Port
	for _, p := range list {
		c := config.Port{Public: int(p.Public), Listen: int(p.Listen)}
		for _, l := range all {
			if l.spec.Port != p.Public || !l.serves() {
				continue
			}
			c.TLS, c.Clients = l.tls(), l.clients
			c.Listeners = append(c.Listeners, config.Listener{Name: string(l.spec.Name), Hostname: l.hostname, Certificates: l.certificates, Hosts: l.hosts()})
		}
		if len(c.Listeners) > 0 {
			out = append(out, c)
		}
	}
	return out
}
