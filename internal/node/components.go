package node

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"
)

// components are the processes of a node, in no order that matters: each waits for
// what it needs.
func (c Config) components() []component {
	kube := func(name string, args ...string) component {
		// GOGC trades a little CPU for a third of the memory; a laptop has more of the first.
		return component{name: name, argv: append([]string{c.Kube, name}, args...), env: []string{"GOGC=60"}}
	}
	node, etcd := c.Addr().String(), "https://127.0.0.1:2379"
	kubeconfig := func(name string) string { return c.path("pki", name+".kubeconfig") }

	list := []component{
		kube("etcd", "--name=node", "--data-dir="+c.path("etcd"),
			"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd,
			"--listen-peer-urls=https://127.0.0.1:2380", "--initial-advertise-peer-urls=https://127.0.0.1:2380", "--initial-cluster=node=https://127.0.0.1:2380",
			"--cert-file="+c.cert("etcd"), "--key-file="+c.key("etcd"), "--client-cert-auth", "--trusted-ca-file="+c.cert("ca"),
			"--peer-cert-file="+c.cert("etcd"), "--peer-key-file="+c.key("etcd"), "--peer-client-cert-auth", "--peer-trusted-ca-file="+c.cert("ca"),
			"--auto-compaction-retention=1h", "--snapshot-count=5000", "--log-level=warn"),
		{name: "containerd", argv: []string{program("containerd"), "--config", c.path("containerd.toml")}, env: append(proxies(), "GOGC=60")},
		kube("kube-apiserver", "--bind-address="+node, "--advertise-address="+node, fmt.Sprintf("--secure-port=%d", apiPort),
			"--etcd-servers="+etcd, "--etcd-cafile="+c.cert("ca"), "--etcd-certfile="+c.cert("apiserver-etcd"), "--etcd-keyfile="+c.key("apiserver-etcd"),
			"--tls-cert-file="+c.cert("apiserver"), "--tls-private-key-file="+c.key("apiserver"), "--tls-min-version=VersionTLS12", "--client-ca-file="+c.cert("ca"),
			"--kubelet-client-certificate="+c.cert("apiserver-kubelet"), "--kubelet-client-key="+c.key("apiserver-kubelet"),
			"--kubelet-certificate-authority="+c.cert("ca"), "--kubelet-preferred-address-types=InternalIP",
			"--requestheader-client-ca-file="+c.cert("front-proxy-ca"), "--requestheader-allowed-names=front-proxy-client",
			"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file="+c.cert("front-proxy"), "--proxy-client-key-file="+c.key("front-proxy"), "--enable-aggregator-routing",
			"--service-cluster-ip-range="+ServiceCIDR, "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file="+c.key("service-accounts"), "--service-account-signing-key-file="+c.key("service-accounts"),
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--anonymous-auth=false",
			"--encryption-provider-config="+c.path("pki", "encryption.yaml"),
			"--audit-policy-file="+c.path("audit.yaml"), "--audit-log-path="+c.path("log", "audit", "audit.log"),
			"--audit-log-maxsize=32", "--audit-log-maxbackup=2", "--audit-log-maxage=7", "--profiling=false", "--v=1"),
		kube("kube-controller-manager", "--kubeconfig="+kubeconfig("controller-manager"), "--authentication-kubeconfig="+kubeconfig("controller-manager"),
			"--authorization-kubeconfig="+kubeconfig("controller-manager"), "--bind-address=127.0.0.1", "--tls-cert-file="+c.cert("controller-manager"),
			"--tls-private-key-file="+c.key("controller-manager"), "--client-ca-file="+c.cert("ca"), "--use-service-account-credentials", "--leader-elect=false",
			"--root-ca-file="+c.cert("ca"), "--service-account-private-key-file="+c.key("service-accounts"),
			"--cluster-signing-cert-file="+c.cert("ca"), "--cluster-signing-key-file="+c.key("ca"), "--allocate-node-cidrs", "--cluster-cidr="+PodCIDR,
			"--node-cidr-mask-size=24", "--configure-cloud-routes=false", "--horizontal-pod-autoscaler-sync-period=10s",
			"--node-monitor-grace-period=30s", "--profiling=false", "--v=1"),
		kube("kube-scheduler", "--kubeconfig="+kubeconfig("scheduler"), "--authentication-kubeconfig="+kubeconfig("scheduler"),
			"--authorization-kubeconfig="+kubeconfig("scheduler"), "--bind-address=127.0.0.1", "--tls-cert-file="+c.cert("scheduler"),
			"--tls-private-key-file="+c.key("scheduler"), "--client-ca-file="+c.cert("ca"), "--leader-elect=false", "--profiling=false", "--v=1"),
		kube("kube-proxy", "--config="+c.path("proxy.yaml"), "--v=1"),
		kube("kubelet", "--config="+c.path("kubelet.yaml"), "--kubeconfig="+kubeconfig("kubelet"), "--hostname-override="+c.Hostname(),
			"--node-ip="+node, "--root-dir=/var/lib/kubelet", "--node-labels=topology.kubernetes.io/zone=local,topology.kubernetes.io/region=local", "--v=1"),
		kube("coredns", "-conf", c.path("Corefile")),
		kube("metrics-server", "--kubeconfig="+kubeconfig("metrics"), "--authentication-kubeconfig="+kubeconfig("metrics"),
			"--authorization-kubeconfig="+kubeconfig("metrics"), "--bind-address="+node, "--secure-port=4443",
			"--tls-cert-file="+c.cert("metrics"), "--tls-private-key-file="+c.key("metrics"), "--kubelet-certificate-authority="+c.cert("ca"),
			"--kubelet-preferred-address-types=InternalIP", "--metric-resolution=15s"),
		{name: "agent", argv: []string{c.Program, "node", "agent", "--dir", c.Dir}, env: []string{"GOGC=60"}},
	}
	waits := map[string]func(context.Context) error{
		"kube-apiserver": listening("tcp", "127.0.0.1:2379"),
		"kubelet":        both(listening("unix", c.Socket()), c.apiReady),
	}
	for i := range list {
		l := &list[i]
		l.late = l.name == "etcd" || l.name == "containerd"
		l.ready = waits[l.name]
		if l.ready == nil && !l.late {
			l.ready = c.apiReady
		}
	}
	return list
}

// program is the file of a program that Check has found.
func program(name string) string {
	if file, err := look(name); err == nil {
		return file
	}
	return name
}

// listening waits until somebody accepts connections.
func listening(network, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		return poll(ctx, func() bool {
			conn, err := net.DialTimeout(network, address, time.Second)
			if err != nil {
				return false
			}
			conn.Close()
			return true
		})
	}
}

func both(a, b func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := a(ctx); err != nil {
			return err
		}
		return b(ctx)
	}
}

// poll calls f until it is true or ctx ends.
func poll(ctx context.Context, f func() bool) error {
	for !f() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// files writes the components' configuration.
func (c Config) files() error {
	plugins := c.path("cni", "bin")
	for name, text := range map[string]string{
		"audit.yaml":                  auditPolicy,
		"kubelet.yaml":                fmt.Sprintf(kubeletConfig, c.cert("ca"), c.cert("kubelet"), c.key("kubelet"), c.Addr(), c.Socket(), c.cgroup(), c.path("run", "resolv.conf"), c.path("kubelet", "flexvolumes")),
		"proxy.yaml":                  fmt.Sprintf(proxyConfig, c.path("pki", "proxy.kubeconfig"), PodCIDR, c.Hostname()),
		"containerd.toml":             fmt.Sprintf(containerdConfig, c.path("containerd"), "/run/containerd", c.Socket(), PauseImage, plugins, c.path("cni", "conf")),
		"Corefile":                    c.corefile(),
		"cni/conf/10-strata.conflist": fmt.Sprintf(cniConfig, c.path("cni", "ipam")),
	} {
		if err := write(c.path(filepath.FromSlash(name)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return c.plugins(plugins)
}
