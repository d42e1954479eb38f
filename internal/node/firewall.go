package node

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// passing are rules of iptables that let the node out, and answers in. They are needed
// where a firewall, such as Docker's, lets nothing through that it does not know: what
// one table of the kernel's packet filter accepts another may still drop.
func (c Config) passing() [][]string {
	return [][]string{
		{"-o", c.hostLink(), "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"},
		{"-i", c.hostLink(), "-j", "ACCEPT"},
	}
}

// pass adds the rules in front of all others where forwarding is forbidden by default.
func (c Config) pass() error {
	have, err := iptables("-S", "FORWARD")
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Split(have, "\n"), "-P FORWARD DROP") {
		return nil
	}
	for _, rule := range c.passing() {
		if _, err := iptables(append([]string{"-I", "FORWARD"}, rule...)...); err != nil {
			return err
		}
	}
	return nil
}

// unpass removes the rules, however often they are there.
func (c Config) unpass() error {
	have, err := iptables("-S", "FORWARD")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(have, "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "-A" || !slices.Contains(f, c.hostLink()) {
			continue
		}
		f[0] = "-D"
		if _, err := iptables(f...); err != nil {
			return err
		}
	}
	return nil
}

func iptables(args ...string) (string, error) {
	program, err := look("iptables")
	if err != nil {
		return "", err
	}
	// Others change rules too, one at a time.
	out, err := exec.Command(program, append([]string{"-w", "5"}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("iptables: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}
