# Rules about Google Cloud resources in a plan.
package strata.plan

import data.strata.lib.plan

# METADATA
# title: Buckets are governed by IAM alone
# description: With uniform access no object can be published by an ACL of its own.
# custom:
#   id: gcs-uniform
#   severity: high
#   layer: security
#   controls: ["CIS GCP Foundations 5.2"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("google_storage_bucket")
	plan.off(rc, ["uniform_bucket_level_access"])
	msg := "uniform_bucket_level_access must be true"
}

# METADATA
# title: Buckets cannot be made public
# description: Prevention holds when somebody grants allUsers by mistake.
# custom:
#   id: gcs-public
#   severity: critical
#   layer: security
#   controls: ["CIS GCP Foundations 5.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("google_storage_bucket")
	not plan.unknown(rc, ["public_access_prevention"])
	not plan.value(rc, ["public_access_prevention"]) == "enforced"
	msg := "public_access_prevention must be enforced"
}

# METADATA
# title: Databases have no public address
# description: A database is reached from the private network only.
# custom:
#   id: cloudsql-public
#   severity: critical
#   layer: networking
#   controls: ["CIS GCP Foundations 6.6"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("google_sql_database_instance")
	some msg in sql_public(rc)
}

sql_public(rc) := {m |
	not plan.unknown(rc, ["settings", 0, "ip_configuration", 0, "ipv4_enabled"])
	not plan.value(rc, ["settings", 0, "ip_configuration", 0, "ipv4_enabled"]) == false
	m := "settings.ip_configuration.ipv4_enabled must be false"
} | {m |
	some network in plan.value(rc, ["settings", 0, "ip_configuration", 0, "authorized_networks"])
	network.value in plan.world
	m := "settings.ip_configuration.authorized_networks must not hold the whole internet"
}

# METADATA
# title: Databases refuse connections without TLS
# description: A client that forgets TLS must fail, not send its password.
# custom:
#   id: cloudsql-tls
#   severity: high
#   layer: security
#   controls: ["CIS GCP Foundations 6.4"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("google_sql_database_instance")
	not plan.unknown(rc, ["settings", 0, "ip_configuration", 0, "ssl_mode"])
	not plan.value(rc, ["settings", 0, "ip_configuration", 0, "ssl_mode"]) in {"ENCRYPTED_ONLY", "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"}
	not plan.on(rc, ["settings", 0, "ip_configuration", 0, "require_ssl"])
	msg := "settings.ip_configuration.ssl_mode must be ENCRYPTED_ONLY or stricter"
}

# METADATA
# title: Databases keep backups
# description: Without automated backups a mistake is final.
# custom:
#   id: cloudsql-backups
#   severity: critical
#   layer: provisioning
#   controls: ["CIS GCP Foundations 6.7", "Strata: no database without backups"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("google_sql_database_instance")
	plan.empty(rc, ["master_instance_name"])
	plan.off(rc, ["settings", 0, "backup_configuration", 0, "enabled"])
	msg := "settings.backup_configuration.enabled must be true"
}

# METADATA
# title: Databases of protected environments cannot be deleted
# description: Deletion protection stops what every other check let through.
# custom:
#   id: cloudsql-deletion-protection
#   severity: high
#   layer: provisioning
#   controls: ["Strata: protected data"]
deny contains plan.at(rc, msg) if {
	plan.protected
	some rc in plan.resources("google_sql_database_instance")
	plan.off(rc, ["deletion_protection"])
	msg := "deletion_protection must be true in a protected environment"
}

# METADATA
# title: Nodes have no public address
# description: Nodes reach the internet by NAT; the internet does not reach nodes.
# custom:
#   id: gke-private
#   severity: high
#   layer: networking
#   controls: ["CIS GKE 5.6.5"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("google_container_cluster")
	plan.off(rc, ["private_cluster_config", 0, "enable_private_nodes"])
	msg := "private_cluster_config.enable_private_nodes must be true"
}

# METADATA
# title: Named networks reach the cluster's API
# description: Without a list, the whole internet may try.
# custom:
#   id: gke-authorized-networks
#   severity: high
#   layer: networking
#   controls: ["CIS GKE 5.6.3"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("google_container_cluster")
	plan.empty(rc, ["master_authorized_networks_config"])
	not plan.on(rc, ["private_cluster_config", 0, "enable_private_endpoint"])
	msg := "master_authorized_networks_config must name the networks that may reach the API"
}

# METADATA
# title: Pods have identities of their own
# description: Without workload identity, pods act as their node.
# custom:
#   id: gke-workload-identity
#   severity: high
#   layer: security
#   controls: ["CIS GKE 5.2.2"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("google_container_cluster")
	not plan.on(rc, ["enable_autopilot"])
	plan.empty(rc, ["workload_identity_config"])
	msg := "workload_identity_config must be set"
}

# METADATA
# title: Nodes prove what they booted
# description: A shielded node cannot be impersonated.
# custom:
#   id: gke-shielded
#   severity: medium
#   layer: runtime
#   controls: ["CIS GKE 5.5.5"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("google_container_cluster")
	plan.value(rc, ["enable_shielded_nodes"]) == false
	msg := "enable_shielded_nodes must be true"
}

# METADATA
# title: The internet reaches web ports only
# description: SSH and RDP are tried by strangers within minutes.
# custom:
#   id: gcp-firewall-open
#   severity: critical
#   layer: networking
#   controls: ["CIS GCP Foundations 3.6", "CIS GCP Foundations 3.7"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("google_compute_firewall")
	not plan.value(rc, ["direction"]) == "EGRESS"
	some range in plan.value(rc, ["source_ranges"])
	range in plan.world
	some allow in plan.value(rc, ["allow"])
	opens_more(allow)
	msg := "the rule opens more than single web ports to the internet"
}

opens_more(allow) if {
	not allow.protocol in {"icmp", "esp", "ah", "sctp", "ipip"}
	count(plan.list(object.get(allow, "ports", []))) == 0
}

opens_more(allow) if {
	some port in allow.ports
	not port in {"80", "443"}
}
