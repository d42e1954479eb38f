# What rules about OpenTofu plans share. A plan says what is known: a value that
# is known only after apply is never a reason to deny.
package strata.lib.plan

# resources of a type that exist after the plan.
resources(type) := [rc |
	some rc in input.resource_changes
	rc.type == type
	rc.mode == "managed"
	is_object(rc.change.after)
]

# of is resources for several types.
of(types) := [rc |
	some rc in input.resource_changes
	rc.type in types
	rc.mode == "managed"
	is_object(rc.change.after)
]

# value at a path, or null.
value(rc, path) := object.get(rc.change.after, path, null)

# unknown until apply: the value itself, or something that contains it.
unknown(rc, path) if {
	some n in numbers.range(1, count(path))
	object.get(rc.change.after_unknown, array.slice(path, 0, n), false) == true
}

# off: known, and not true. Absent counts as not true.
off(rc, path) if {
	not unknown(rc, path)
	not value(rc, path) == true
}

# on: known to be true.
on(rc, path) if value(rc, path) == true

# empty: known, and nothing is in it.
empty(rc, path) if {
	not unknown(rc, path)
	value(rc, path) in {null, "", 0, false}
}

empty(rc, path) if {
	not unknown(rc, path)
	count(value(rc, path)) == 0
}

# below: known, and less than n; absent counts as 0.
below(rc, path, n) if {
	not unknown(rc, path)
	value(rc, path) == null
	n > 0
}

# Numbers only: null comes before every number in Rego's order.
below(rc, path, n) if {
	is_number(value(rc, path))
	value(rc, path) < n
}

# companion: another resource of one of the types that is, or can still turn out
# to be, about this one: it is in the same module, and its attribute names this
# resource or is unknown until apply.
companion(rc, types, attribute, own) if {
	some other in of(types)
	object.get(other, "module_address", "") == object.get(rc, "module_address", "")
	related(rc, other, attribute, own)
}

related(_, other, attribute, _) if unknown(other, [attribute])

related(rc, other, attribute, own) if {
	value(other, [attribute]) == value(rc, [own])
	value(rc, [own]) != null
}

at(rc, msg) := {"msg": msg, "address": rc.address}

protected if input.strata.environment.protected == true

world := {"0.0.0.0/0", "::/0", "*", "Internet", "Any"}

# covers is true when the ports from..to hold one of the numbers.
covers(from, to, ports) if {
	some p in ports
	from <= p
	p <= to
}

# admin_ports are for people who administer machines, not for the internet.
admin_ports := {22, 3389}

# aws_ingress lists what AWS security groups let in from the whole internet.
aws_ingress contains {"address": rc.address, "from": from, "to": to} if {
	some rc in resources("aws_security_group")
	some i, rule in value(rc, ["ingress"])
	some cidr in array.concat(list(rule.cidr_blocks), list(rule.ipv6_cidr_blocks))
	cidr in world
	[from, to] := ports(object.get(rule, "protocol", "-1"), rule.from_port, rule.to_port)
}

aws_ingress contains {"address": rc.address, "from": from, "to": to} if {
	some rc in resources("aws_security_group_rule")
	value(rc, ["type"]) == "ingress"
	some field in ["cidr_blocks", "ipv6_cidr_blocks"]
	some cidr in list(value(rc, [field]))
	cidr in world
	[from, to] := ports(value(rc, ["protocol"]), value(rc, ["from_port"]), value(rc, ["to_port"]))
}

aws_ingress contains {"address": rc.address, "from": from, "to": to} if {
	some rc in resources("aws_vpc_security_group_ingress_rule")
	some field in ["cidr_ipv4", "cidr_ipv6"]
	value(rc, [field]) in world
	[from, to] := ports(value(rc, ["ip_protocol"]), value(rc, ["from_port"]), value(rc, ["to_port"]))
}

list(x) := x if {
	is_array(x)
} else := []

ports(protocol, _, _) := [0, 65535] if {
	protocol in {"-1", "all", null}
} else := [0, 0] if {
	protocol in {"icmp", "icmpv6", "58"}
}

ports(protocol, from, to) := [from, to] if {
	not protocol in {"-1", "all", null, "icmp", "icmpv6", "58"}
	is_number(from)
	is_number(to)
}

# holds_data are types whose loss is the loss of data.
holds_data := {
	"aws_db_instance", "aws_rds_cluster", "aws_rds_cluster_instance", "aws_docdb_cluster", "aws_dynamodb_table",
	"aws_s3_bucket", "aws_ebs_volume", "aws_efs_file_system", "aws_elasticache_replication_group", "aws_mq_broker",
	"aws_msk_cluster", "aws_kms_key", "aws_secretsmanager_secret", "aws_ecr_repository", "aws_eks_cluster", "aws_vpc",
	"google_sql_database_instance", "google_storage_bucket", "google_compute_disk", "google_redis_instance",
	"google_kms_crypto_key", "google_secret_manager_secret", "google_filestore_instance", "google_container_cluster",
	"google_artifact_registry_repository", "google_pubsub_topic",
	"azurerm_postgresql_flexible_server", "azurerm_mysql_flexible_server", "azurerm_storage_account",
	"azurerm_storage_container", "azurerm_managed_disk", "azurerm_redis_cache", "azurerm_key_vault",
	"azurerm_key_vault_key", "azurerm_key_vault_secret", "azurerm_kubernetes_cluster", "azurerm_container_registry",
	"azurerm_resource_group",
}
