package node

import (
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// at is a pod with an address, labelled "app: NAME".
func at(ns, name, ip string, ports ...corev1.ContainerPort) podAt {
	return podAt{
		pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: map[string]string{"app": name}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: ports}}},
		},
		ip: netip.MustParseAddr(ip),
	}
}

// somePods are what the policies of TestRuleset are about.
func somePods() []podAt {
	return []podAt{
		at("shop", "web", "10.244.0.2", corev1.ContainerPort{Name: "http", ContainerPort: 8080}, corev1.ContainerPort{Name: "dns", ContainerPort: 5353, Protocol: corev1.ProtocolUDP}),
		at("shop", "db", "10.244.0.3", corev1.ContainerPort{Name: "http", ContainerPort: 9090}),
		at("ops", "web", "10.244.0.4"),
	}
}

var someSpaces = map[string]labels.Set{
	"shop":        {"team": "shop"},
	"ops":         {"team": "ops"},
	"kube-system": {"kubernetes.io/metadata.name": "kube-system"},
}

func policy(t *testing.T, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"}}
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	return p
}

func TestRuleset(t *testing.T) {
	t.Parallel()
	// What a policy of namespace shop comes to: the rules of shop/web, "-" where it may do
	// everything, "" where it may do nothing.
	for name, tt := range map[string]struct{ spec, in, out string }{
		"default deny":             {`{podSelector: {}, policyTypes: [Ingress, Egress]}`, "", ""},
		"types by rules":           {`{podSelector: {}}`, "", "-"},
		"types by egress rules":    {`{podSelector: {}, egress: [{}]}`, "", "accept"},
		"egress alone":             {`{podSelector: {}, policyTypes: [Egress]}`, "-", ""},
		"another pod":              {`{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress, Egress]}`, "-", "-"},
		"allow all":                {`{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}`, "accept", "accept"},
		"pods":                     {`{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}}]}]}`, "ip saddr { 10.244.0.3 } accept", "-"},
		"pods of own namespace":    {`{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}`, "ip saddr { 10.244.0.2, 10.244.0.3 } accept", "-"},
		"namespaces":               {`{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}}]}]}`, "ip saddr { 10.244.0.4 } accept", "-"},
		"all namespaces":           {`{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}`, "ip saddr { 10.244.0.2, 10.244.0.3, 10.244.0.4 } accept", "-"},
		"both":                     {`{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]}]}`, "ip saddr { 10.244.0.2, 10.244.0.4 } accept", "-"},
		"either":                   {`{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}}, {podSelector: {matchLabels: {app: db}}}]}]}`, "ip saddr { 10.244.0.3, 10.244.0.4 } accept", "-"},
		"nobody":                   {`{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: none}}}]}]}`, "", "-"},
		"expressions":              {`{podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}}]}]}`, "ip saddr { 10.244.0.3 } accept", "-"},
		"block":                    {`{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.0/16]}}]}]}`, "ip saddr 10.0.0.0/8 ip saddr != 10.1.0.0/16 ip saddr != 10.2.0.0/16 accept", "-"},
		"block of IPv6":            {`{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: "::/0"}}]}]}`, "", "-"},
		"port":                     {`{podSelector: {}, ingress: [{ports: [{port: 80}]}]}`, "tcp dport 80 accept", "-"},
		"ports":                    {`{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 53, protocol: UDP}]}]}`, "tcp dport 80 accept; udp dport 53 accept", "-"},
		"range":                    {`{podSelector: {}, ingress: [{ports: [{port: 80, endPort: 90}]}]}`, "tcp dport 80-90 accept", "-"},
		"protocol":                 {`{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}`, "meta l4proto udp accept", "-"},
		"SCTP":                     {`{podSelector: {}, ingress: [{ports: [{protocol: SCTP, port: 7}]}]}`, "sctp dport 7 accept", "-"},
		"named":                    {`{podSelector: {}, ingress: [{ports: [{port: http}]}]}`, "tcp dport 8080 accept", "-"},
		"named, another protocol":  {`{podSelector: {}, ingress: [{ports: [{port: dns}]}]}`, "", "-"},
		"named UDP":                {`{podSelector: {}, ingress: [{ports: [{port: dns, protocol: UDP}]}]}`, "udp dport 5353 accept", "-"},
		"peers and ports":          {`{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 1}, {port: 2}]}]}`, "ip saddr { 10.244.0.3 } tcp dport 1 accept; ip saddr { 10.244.0.3 } tcp dport 2 accept", "-"},
		"egress pods":              {`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}]}`, "-", "ip daddr { 10.244.0.3 } tcp dport 5432 accept"},
		"egress named, by the pod": {`{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}`, "-", "ip daddr 10.244.0.2 tcp dport 8080 accept; ip daddr 10.244.0.3 tcp dport 9090 accept"},
		"egress named and others":  {`{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}, {port: 443}]}]}`, "-", "tcp dport 443 accept; ip daddr 10.244.0.2 tcp dport 8080 accept; ip daddr 10.244.0.3 tcp dport 9090 accept"},
		"egress block":             {`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}]}]}`, "-", "ip daddr 0.0.0.0/0 ip daddr != 169.254.169.254/32 accept"},
		"egress block, named":      {`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.244.0.0/30}}], ports: [{port: http}]}]}`, "-", "ip daddr 10.244.0.2 tcp dport 8080 accept; ip daddr 10.244.0.3 tcp dport 9090 accept"},
		"DNS": {`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}]}]}`,
			"-", "ip daddr 10.213.0.2 th dport 53 udp dport 53 accept"},
		"DNS by name": {`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: dns-tcp}]}]}`,
			"-", "ip daddr 10.213.0.2 tcp dport 53 accept"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := ruleset(somePods(), someSpaces, []*networkingv1.NetworkPolicy{policy(t, tt.spec)}, netip.MustParseAddr("10.213.0.2"))
			if got := chainOf(t, script, "ingress", "in_0"); got != tt.in {
				t.Errorf("ingress: %q, want %q", got, tt.in)
			}
			if got := chainOf(t, script, "egress", "out_0"); got != tt.out {
				t.Errorf("egress: %q, want %q", got, tt.out)
			}
			accepted(t, script)
		})
	}
}

// chainOf returns what a policy adds to the rules of shop/web, one after the other.
func chainOf(t *testing.T, script, direction, chain string) string {
	t.Helper()
	if !strings.Contains(script, "10.244.0.2 : goto "+chain) {
		return "-"
	}
	m := regexp.MustCompile(`(?s)\tchain ` + chain + ` \{\n\t\tip [sd]addr 10.244.0.2 accept\n(.*?)\t\tgoto refuse\n`).FindStringSubmatch(script)
	if m == nil {
		t.Fatalf("no chain %s of %s:\n%s", chain, direction, script)
	}
	return strings.Join(strings.FieldsFunc(strings.ReplaceAll(m[1], "\t", ""), func(r rune) bool { return r == '\n' }), "; ")
}

// accepted has nft read a script without doing what it says.
func accepted(t *testing.T, script string) {
	t.Helper()
	file, err := look("nft")
	if err != nil || os.Geteuid() != 0 {
		return // the tests with a node do it for real
	}
	cmd := exec.Command(file, "--check", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("nft does not take it: %v: %s\n%s", err, out, script)
	}
}

// Policies add up, and the order in which they and pods are listed says nothing.
func TestRulesetAddsUp(t *testing.T) {
	t.Parallel()
	one := policy(t, `{podSelector: {}, ingress: [{ports: [{port: 1}]}]}`)
	two := policy(t, `{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 2}]}]}`)
	two.Name = "q"
	other := policy(t, `{podSelector: {}, ingress: [{}]}`)
	other.Namespace = "ops"
	dns := netip.MustParseAddr("10.213.0.2")
	script := ruleset(somePods(), someSpaces, []*networkingv1.NetworkPolicy{one, two, other}, dns)
	if got := chainOf(t, script, "ingress", "in_0"); got != "tcp dport 1 accept; tcp dport 2 accept" {
		t.Errorf("web: %q", got)
	}
	pods := somePods()
	pods[0], pods[2] = pods[2], pods[0]
	if again := ruleset(pods, someSpaces, []*networkingv1.NetworkPolicy{other, two, one}, dns); again != script {
		t.Errorf("another order, another script:\n%s\n%s", script, again)
	}
	accepted(t, ruleset(nil, nil, nil, dns))
}
