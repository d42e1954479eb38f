// Command strata-pause does nothing until it is told to stop. It is the first process
// of every pod and holds the pod's namespaces open; where containers share them, it lets
// the kernel collect what they leave behind.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGCHLD)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
}
