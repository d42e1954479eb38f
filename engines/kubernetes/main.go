// Command strata-kube is Kubernetes in one file: every component that a node and its
// control plane consist of, upstream code, pinned in go.mod. The first argument (or the
// name that the program is started by) says which one runs. What is ours is the choice;
// anything else belongs upstream or in internal/node.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	metricsapp "sigs.k8s.io/metrics-server/cmd/metrics-server/app"

	genericapiserver "k8s.io/apiserver/pkg/server"
)

// components are started by name. Only the command that is asked for is constructed:
// several of them register signal handlers when they are, which works once a process.
var components = map[string]func(args []string) int{
	"etcd":                    func(args []string) int { etcdmain.Main(append([]string{"etcd"}, args...)); return 0 },
	"coredns":                 coreDNS,
	"kube-apiserver":          command(apiserver.NewAPIServerCommand),
	"kube-controller-manager": command(controllers.NewControllerManagerCommand),
	"kube-proxy":              command(proxy.NewProxyCommand),
	"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kubelet":                 command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	"metrics-server": command(func() *cobra.Command {
		return metricsapp.NewMetricsServerCommand(genericapiserver.SetupSignalHandler())
	}),
}

// command makes a component of the constructor of its cobra command.
func command(construct func() *cobra.Command) func([]string) int {
	return func(args []string) int {
		c := construct()
		c.SetArgs(args)
		return cli.Run(c)
	}
}

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	run, ok := components[name]
	if !ok && len(args) > 0 {
		name, args = args[0], args[1:]
		run, ok = components[name]
	}
	if !ok {
		names := make([]string, 0, len(components))
		for n := range components {
			names = append(names, n)
		}
		sort.Strings(names)
		fmt.Fprintf(os.Stderr, "usage: strata-kube COMPONENT [FLAGS]\ncomponents: %s\n", strings.Join(names, ", "))
		os.Exit(1)
	}
	// Components parse os.Args on their own here and there.
	os.Args = append([]string{name}, args...)
	os.Exit(run(args))
}
