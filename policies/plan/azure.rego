# Rules about Azure resources in a plan.
package strata.plan

import data.strata.lib.plan

# METADATA
# title: Storage accounts speak TLS 1.2
# description: Older protocols can be broken on the way.
# custom:
#   id: azure-storage-tls
#   severity: high
#   layer: security
#   controls: ["CIS Azure Foundations 3.1", "CIS Azure Foundations 3.15"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("azurerm_storage_account")
	some msg in storage_wrong(rc)
}

storage_wrong(rc) := {m |
	plan.value(rc, ["https_traffic_only_enabled"]) == false
	m := "https_traffic_only_enabled must be true"
} | {m |
	plan.value(rc, ["min_tls_version"]) in {"TLS1_0", "TLS1_1"}
	m := "min_tls_version must be TLS1_2 or newer"
}

# METADATA
# title: Storage accounts publish nothing
# description: Neither a container nor the account is reached without credentials.
# custom:
#   id: azure-storage-public
#   severity: critical
#   layer: security
#   controls: ["CIS Azure Foundations 3.7"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("azurerm_storage_account")
	not plan.unknown(rc, ["allow_nested_items_to_be_public"])
	not plan.value(rc, ["allow_nested_items_to_be_public"]) == false
	msg := "allow_nested_items_to_be_public must be false"
}

# METADATA
# title: Databases have no public address
# description: A database is reached from the private network only.
# custom:
#   id: azure-postgres-public
#   severity: critical
#   layer: networking
#   controls: ["CIS Azure Foundations 4.3"]
deny contains plan.at(rc, msg) if {
	some rc in plan.of({"azurerm_postgresql_flexible_server", "azurerm_mysql_flexible_server"})
	not plan.unknown(rc, ["public_network_access_enabled"])
	plan.empty(rc, ["delegated_subnet_id"])
	not plan.value(rc, ["public_network_access_enabled"]) == false
	msg := "public_network_access_enabled must be false"
}

# METADATA
# title: Databases keep backups
# description: At least 7 days.
# custom:
#   id: azure-postgres-backups
#   severity: critical
#   layer: provisioning
#   controls: ["Strata: no database without backups"]
deny contains plan.at(rc, msg) if {
	some rc in plan.of({"azurerm_postgresql_flexible_server", "azurerm_mysql_flexible_server"})
	days := plan.value(rc, ["backup_retention_days"])
	is_number(days)
	days < 7
	msg := sprintf("backup_retention_days must be at least 7, not %d", [days])
}

# METADATA
# title: The cluster's API is private
# description: Either a private cluster or a list of networks.
# custom:
#   id: aks-private
#   severity: high
#   layer: networking
#   controls: ["CIS AKS 5.4.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("azurerm_kubernetes_cluster")
	plan.off(rc, ["private_cluster_enabled"])
	plan.empty(rc, ["api_server_access_profile", 0, "authorized_ip_ranges"])
	msg := "private_cluster_enabled must be true, or api_server_access_profile must name networks"
}

# METADATA
# title: Nobody signs in to the cluster without the identity provider
# description: A local account is a certificate that cannot be revoked.
# custom:
#   id: aks-local-accounts
#   severity: high
#   layer: security
#   controls: ["CIS AKS 5.1.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("azurerm_kubernetes_cluster")
	plan.off(rc, ["local_account_disabled"])
	msg := "local_account_disabled must be true"
}

# METADATA
# title: The cluster has role-based access control
# description: Without it everybody who signs in is an administrator.
# custom:
#   id: aks-rbac
#   severity: critical
#   layer: security
#   controls: ["CIS AKS 5.1.2"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("azurerm_kubernetes_cluster")
	plan.value(rc, ["role_based_access_control_enabled"]) == false
	msg := "role_based_access_control_enabled must be true"
}

# METADATA
# title: The internet reaches web ports only
# description: SSH and RDP are tried by strangers within minutes.
# custom:
#   id: azure-nsg-open
#   severity: critical
#   layer: networking
#   controls: ["CIS Azure Foundations 6.1", "CIS Azure Foundations 6.2"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("azurerm_network_security_rule")
	lower(plan.value(rc, ["direction"])) == "inbound"
	lower(plan.value(rc, ["access"])) == "allow"
	some source in array.concat([plan.value(rc, ["source_address_prefix"])], plan.list(plan.value(rc, ["source_address_prefixes"])))
	source in plan.world
	some port in array.concat([plan.value(rc, ["destination_port_range"])], plan.list(plan.value(rc, ["destination_port_ranges"])))
	not port in {null, "", "80", "443"}
	msg := sprintf("port %s must not be open to the internet", [port])
}

# METADATA
# title: Key vaults cannot be purged
# description: Purge protection keeps deleted keys and secrets until their retention is over.
# custom:
#   id: azure-keyvault-purge
#   severity: high
#   layer: security
#   controls: ["CIS Azure Foundations 8.5"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("azurerm_key_vault")
	plan.off(rc, ["purge_protection_enabled"])
	msg := "purge_protection_enabled must be true"
}
