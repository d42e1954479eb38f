# What rules about Kubernetes objects share. Rules read objects by path where
# they can and pass whole values to functions only when they must: Strata works
# out from the rules which fields matter and judges equal fields once.
package strata.lib.k8s

# name of a container, volume or port for a message.
name(thing) := thing.name if {
	is_string(thing.name)
} else := "?"

# windows pods set none of the Linux-only fields.
windows if input.strata.pod.spec.os.name == "windows"

# user_namespace pods map their root user to an ordinary one of the node.
user_namespace if input.strata.pod.spec.hostUsers == false

# local environments run on somebody's own machine.
local if input.strata.environment.cloud == "local"

protected if input.strata.environment.protected == true

# secret_name is true for a key or variable whose name says that it holds a
# secret. PASSWORD_FILE, TOKEN_TTL and the like say that it does not.
secret_name(name) if regex.match(`(?i)(^|[^a-z])(password|passwd|passphrase|secret|token|api[_.-]?key|access[_.-]?key|secret[_.-]?key|private[_.-]?key|credentials?)$`, name)
