# Rules about AWS networks and clusters in a plan.
package strata.plan

import data.strata.lib.plan

# METADATA
# title: The internet reaches no administration port
# description: SSH and RDP are tried by strangers within minutes.
# custom:
#   id: sg-admin-ports
#   severity: critical
#   layer: networking
#   controls: ["CIS AWS Foundations 5.3", "CIS AWS Foundations 5.4"]
deny contains plan.at(rc, msg) if {
	some rc in plan.aws_ingress
	plan.covers(rc.from, rc.to, plan.admin_ports)
	msg := "ports 22 and 3389 must not be open to the internet"
}

# METADATA
# title: The internet reaches web ports only
# description: Everything else is private by default.
# custom:
#   id: sg-open
#   severity: high
#   layer: networking
#   controls: ["CIS AWS Foundations 5.3", "Strata: private by default"]
deny contains plan.at(rc, msg) if {
	some rc in plan.aws_ingress
	not web_port(rc)
	msg := sprintf("ports %d to %d must not be open to the internet", [rc.from, rc.to])
}

# Port 0 stands for ICMP, which has none.
web_port(rc) if {
	rc.from == rc.to
	rc.from in {0, 80, 443}
}

# METADATA
# title: Network ACLs keep administration ports closed
# description: The ACL holds when a security group is wrong.
# custom:
#   id: nacl-admin-ports
#   severity: high
#   layer: networking
#   controls: ["CIS AWS Foundations 5.2"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_network_acl_rule")
	not plan.on(rc, ["egress"])
	plan.value(rc, ["rule_action"]) == "allow"
	some field in ["cidr_block", "ipv6_cidr_block"]
	plan.value(rc, [field]) in plan.world
	[from, to] := plan.ports(plan.value(rc, ["protocol"]), plan.value(rc, ["from_port"]), plan.value(rc, ["to_port"]))
	plan.covers(from, to, plan.admin_ports)
	msg := "ports 22 and 3389 must not be open to the internet"
}

# METADATA
# title: The default security group lets nothing through
# description: Whatever forgets to name a group gets the default one.
# custom:
#   id: default-security-group
#   severity: medium
#   layer: networking
#   controls: ["CIS AWS Foundations 5.5"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_default_security_group")
	some field in ["ingress", "egress"]
	count(plan.value(rc, [field])) > 0
	msg := sprintf("the default security group must have no %s rule", [field])
}

# METADATA
# title: Networks record their flows
# description: Flow logs are the only witness of what crossed the network.
# custom:
#   id: vpc-flow-logs
#   severity: medium
#   layer: observability
#   controls: ["CIS AWS Foundations 3.7"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_vpc")
	not plan.companion(rc, {"aws_flow_log"}, "vpc_id", "id")
	msg := "the network has no aws_flow_log"
}

# METADATA
# title: Load balancers speak TLS
# description: Plain HTTP may redirect, nothing else.
# custom:
#   id: load-balancer-tls
#   severity: high
#   layer: networking
#   controls: ["AWS Security Hub ELB.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.of({"aws_lb_listener", "aws_alb_listener"})
	plan.value(rc, ["protocol"]) == "HTTP"
	not plan.value(rc, ["default_action", 0, "type"]) == "redirect"
	msg := "a listener with protocol HTTP must redirect to HTTPS"
}

# METADATA
# title: The cluster's API is private
# description: A public endpoint for the whole internet leaves only a password's worth of distance to the cluster.
# custom:
#   id: eks-endpoint
#   severity: high
#   layer: networking
#   controls: ["CIS EKS 5.4.1", "CIS EKS 5.4.2"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_eks_cluster")
	some msg in endpoint_wrong(rc)
}

endpoint_wrong(rc) := {m |
	not plan.unknown(rc, ["vpc_config", 0, "endpoint_public_access"])
	not plan.value(rc, ["vpc_config", 0, "endpoint_public_access"]) == false
	not plan.unknown(rc, ["vpc_config", 0, "public_access_cidrs"])
	open_endpoint(plan.value(rc, ["vpc_config", 0, "public_access_cidrs"]))
	m := "the public endpoint must be off, or open to named networks only (public_access_cidrs)"
} | {m |
	plan.off(rc, ["vpc_config", 0, "endpoint_private_access"])
	m := "endpoint_private_access must be true"
}

open_endpoint(null)

open_endpoint(cidrs) if count(cidrs) == 0

open_endpoint(cidrs) if {
	some cidr in cidrs
	cidr in plan.world
}

# METADATA
# title: The cluster encrypts Secrets with a key of one's own
# description: Who reads a copy of the cluster's database then reads no secret.
# custom:
#   id: eks-secrets-encryption
#   severity: high
#   layer: security
#   controls: ["CIS EKS 5.3.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_eks_cluster")
	plan.empty(rc, ["encryption_config"])
	msg := "encryption_config must encrypt secrets"
}

# METADATA
# title: The cluster keeps its control plane's logs
# description: The audit log says who did what; the others say why it failed.
# custom:
#   id: eks-logs
#   severity: medium
#   layer: observability
#   controls: ["CIS EKS 2.1.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_eks_cluster")
	not plan.unknown(rc, ["enabled_cluster_log_types"])
	missing := {"api", "audit", "authenticator", "controllerManager", "scheduler"} - {l | some l in plan.value(rc, ["enabled_cluster_log_types"])}
	count(missing) > 0
	msg := sprintf("enabled_cluster_log_types lacks %s", [concat(", ", sort(missing))])
}
