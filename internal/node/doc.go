// Package node runs Kubernetes on this machine: the control plane and one node, as
// child processes in namespaces of their own, so that nothing of it can be mistaken
// for, or left behind as, a part of the machine.
//
// Three processes make a node:
//
//   - the keeper (Run) lives in the machine's own namespaces. It holds the lock,
//     makes the link into the node, forwards loopback ports and starts the init
//     process anew when it ends.
//   - the init process (Init) is process 1 of new PID, mount, network, UTS and IPC
//     namespaces. It starts and restarts the components of engines/kubernetes, and
//     when it goes the kernel ends every process, mount, interface and packet
//     filter rule that was made in there.
//   - the agent (Agent) does what a cluster needs beside Kubernetes itself: volumes,
//     network policies, routes.
//
// What belongs here is how a cluster is run on one machine. What runs in it is the
// business of compile/kube and runner/kube; images are that of package image.
package node
