package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// PauseImage holds a pod's namespaces open. It is built from images/pause.yaml.
const PauseImage = "strata.local/pause:1"

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
# What the cluster does by itself, all the time, says nothing.
- level: None
  users: ["system:kube-proxy", "system:kube-scheduler", "system:kube-controller-manager", "system:coredns", "strata:agent", "kube-apiserver"]
  verbs: [get, list, watch]
- level: None
  userGroups: ["system:nodes"]
- level: None
  resources: [{group: coordination.k8s.io}, {group: "", resources: [events]}]
- level: None
  nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/version", "/openapi*", "/api", "/apis*"]
- level: Metadata
`

const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %[1]q}
authorization: {mode: Webhook}
tlsCertFile: %[2]q
tlsPrivateKeyFile: %[3]q
address: %[4]q
healthzBindAddress: 127.0.0.1
readOnlyPort: 0
containerRuntimeEndpoint: unix://%[5]s
cgroupDriver: cgroupfs
cgroupRoot: %[6]q
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
seccompDefault: true
clusterDomain: cluster.local
clusterDNS: [%[4]q]
resolvConf: %[7]q
serializeImagePulls: false
podLogsDir: /var/log/pods
volumePluginDir: %[8]q
containerLogMaxSize: 8Mi
containerLogMaxFiles: 2
evictionHard: {memory.available: 100Mi, nodefs.available: 500Mi, imagefs.available: 500Mi}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 10s
enableProfilingHandler: false
`

const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: %[1]q}
mode: iptables
clusterCIDR: %[2]q
hostnameOverride: %[3]q
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
nodePortAddresses: ["primary"]
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 100ms, syncPeriod: 60s}
`

// restrict_oom_score_adj: without CAP_SYS_RESOURCE no process may protect itself from
// the OOM killer, and runc gives up where it is told to.
const containerdConfig = `version = 2
root = %[1]q
state = %[2]q
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = %[3]q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[4]q
  restrict_oom_score_adj = true
  disable_apparmor = true
  enable_unprivileged_ports = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %[5]q
    conf_dir = %[6]q
`

// corefile configures CoreDNS. A machine that asks nobody for names has a node that
// knows those of the cluster alone. Answers about the cluster are in memory anyway; a cache
// in front would name pods that are gone, and hide new ones, for as long as it keeps them.
func (c Config) corefile() string {
	forward := ""
	if b, err := os.ReadFile(c.path("run", "resolv.conf")); err == nil && strings.Contains(string(b), "nameserver") {
		forward = "\tforward . " + c.path("run", "resolv.conf") + " {\n\t\tpolicy sequential\n\t}\n"
	}
	return fmt.Sprintf(corefile, c.Addr(), c.path("pki", "coredns.kubeconfig"), forward)
}

const corefile = `.:53 {
	bind %[1]s
	errors
	ready 127.0.0.1:8181
	kubernetes cluster.local in-addr.arpa ip6.arpa {
		kubeconfig %[2]s
		pods insecure
		ttl 5
	}
%[3]s	cache 10 {
		disable success cluster.local
		disable denial cluster.local
	}
	loadbalance
	reload
}
`

// Each pod has a link of its own to the node and everything goes through its routing,
// so that packet filters see what pods say to each other without a bridge's help.
const cniConfig = `{
  "cniVersion": "0.4.0",
  "name": "strata",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "ipam": {"type": "host-local", "dataDir": %[1]q, "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}
    },
    {"type": "strata-policy"}
  ]
}
`

// pluginDirs are where distributions put the CNI plugins.
var pluginDirs = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// plugins makes a folder with the CNI plugins that are used, and the one of ours that
// tells the agent of a new pod before its first packet.
func (c Config) plugins(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"ptp", "host-local", "loopback"} {
		file := ""
		for _, d := range pluginDirs {
			if _, err := os.Stat(filepath.Join(d, name)); err == nil {
				file = filepath.Join(d, name)
				break
			}
		}
		if file == "" {
			return fmt.Errorf("there is no CNI plugin %s in %v", name, pluginDirs)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(file, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %q node cni --dir %q\n", c.Program, c.Dir)
	return write(filepath.Join(dir, "strata-policy"), []byte(script), 0o755)
}
