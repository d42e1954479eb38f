package node

import "testing"

func TestNode(t *testing.T) {
	t.Setenv("STRATA_NODES", nodesFolder(t))
	n := up(t, options(t, "test-one"))
	n.namespace(t, "a", nil)
	n.create(t, pod("a", "web", nil, "tcp:80"))
	t.Log(n.answers(t, "a", "web"))
}
