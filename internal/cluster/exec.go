package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

// Exec is a command to run in a container.
type Exec struct {
	Pod       *corev1.Pod
	Container string
	Command   []string
	// Stdin may be nil. With TTY the command has a terminal, whose size Sizes gives, and
	// everything comes on Stdout.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	TTY            bool
	Sizes          remotecommand.TerminalSizeQueue
}

// Exec runs a command and returns its exit code.
func (c *Client) Exec(ctx context.Context, e Exec) (int, error) {
	url := c.Typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(e.Pod.Namespace).Name(e.Pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: e.Container, Command: e.Command, Stdin: e.Stdin != nil, Stdout: true, Stderr: !e.TTY, TTY: e.TTY,
		}, scheme.ParameterCodec).URL()
	ws, err := remotecommand.NewWebSocketExecutor(c.REST, "GET", url.String())
	if err != nil {
		return 0, err
	}
	spdy, err := remotecommand.NewSPDYExecutor(c.REST, "POST", url)
	if err != nil {
		return 0, err
	}
	// Old API servers and proxies know nothing of the first.
	run, err := remotecommand.NewFallbackExecutor(ws, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return 0, err
	}
	o := remotecommand.StreamOptions{Stdin: e.Stdin, Stdout: e.Stdout, Stderr: e.Stderr, Tty: e.TTY, TerminalSizeQueue: e.Sizes}
	if e.TTY {
		o.Stderr = nil
	}
	err = run.StreamWithContext(ctx, o)
	var exit exec.CodeExitError
	switch {
	case errors.As(err, &exit):
		return exit.Code, nil
	case err != nil:
		return 0, fmt.Errorf("run %q in pod %s, container %s: %w", e.Command[0], e.Pod.Name, e.Container, err)
	}
	return 0, nil
}

// DefaultContainer is the container of a pod that people mean when they name none: the
// one that an annotation names, or the first.
func DefaultContainer(p *corev1.Pod) string {
	if name := p.Annotations["kubectl.kubernetes.io/default-container"]; name != "" {
		return name
	}
	for _, c := range p.Spec.Containers {
		if c.Name == "main" {
			return c.Name
		}
	}
	if len(p.Spec.Containers) == 0 {
		return ""
	}
	return p.Spec.Containers[0].Name
}

// Best returns the pod that is most likely to answer: the newest that is ready, or else
// the newest that runs; nil where none does.
func Best(pods []*corev1.Pod) *corev1.Pod {
	var best *corev1.Pod
	for _, p := range pods {
		if p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning {
			continue
		}
		if best == nil || PodReady(p) || !PodReady(best) {
			best = p
		}
	}
	return best
}
