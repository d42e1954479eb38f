package strata.plan_test

import data.strata.lib.testing as t
import data.strata.plan.deny
import data.strata.plan.warn

test_gcs_uniform_deny if {
	t.says(deny, "uniform_bucket_level_access") with input as t.plan([t.change("google_storage_bucket", {}, {}, ["create"])])
}

test_gcs_uniform_allow if {
	not t.says(deny, "uniform_bucket_level_access") with input as t.plan([t.change("google_storage_bucket", {"uniform_bucket_level_access": true}, {}, ["create"])])
	not t.says(deny, "uniform_bucket_level_access") with input as t.plan([t.change("google_storage_bucket", {}, {"uniform_bucket_level_access": true}, ["create"])])
}

test_gcs_public_deny if {
	t.says(deny, "public_access_prevention") with input as t.plan([t.change("google_storage_bucket", {"public_access_prevention": "inherited"}, {}, ["create"])])
}

test_gcs_public_allow if {
	not t.says(deny, "public_access_prevention") with input as t.plan([t.change("google_storage_bucket", {"public_access_prevention": "enforced"}, {}, ["create"])])
	not t.says(deny, "public_access_prevention") with input as t.plan([t.change("google_storage_bucket", {}, {"public_access_prevention": true}, ["create"])])
}

test_cloudsql_public_deny if {
	t.says(deny, "settings.ip_configuration.") with input as t.plan([t.change("google_sql_database_instance", {"settings": [{"ip_configuration": [{"ipv4_enabled": true, "ssl_mode": "ENCRYPTED_ONLY"}]}]}, {}, ["create"])])
}

test_cloudsql_public_allow if {
	not t.says(deny, "settings.ip_configuration.") with input as t.plan([t.change("google_sql_database_instance", {"settings": [{"ip_configuration": [{"ipv4_enabled": false, "ssl_mode": "ENCRYPTED_ONLY"}]}]}, {}, ["create"])])
	not t.says(deny, "settings.ip_configuration.") with input as t.plan([t.change("google_sql_database_instance", {}, {"settings": true}, ["create"])])
}

test_cloudsql_tls_deny if {
	t.says(deny, "ssl_mode must be") with input as t.plan([t.change("google_sql_database_instance", {"settings": [{"ip_configuration": [{"ipv4_enabled": false}]}]}, {}, ["create"])])
}

test_cloudsql_tls_allow if {
	not t.says(deny, "ssl_mode must be") with input as t.plan([t.change("google_sql_database_instance", {"settings": [{"ip_configuration": [{"ssl_mode": "ENCRYPTED_ONLY"}]}]}, {}, ["create"])])
	not t.says(deny, "ssl_mode must be") with input as t.plan([t.change("google_sql_database_instance", {}, {"settings": true}, ["create"])])
}

test_cloudsql_backups_deny if {
	t.says(deny, "backup_configuration.enabled") with input as t.plan([t.change("google_sql_database_instance", {"settings": [{}]}, {}, ["create"])])
}

test_cloudsql_backups_allow if {
	not t.says(deny, "backup_configuration.enabled") with input as t.plan([t.change("google_sql_database_instance", {"settings": [{"backup_configuration": [{"enabled": true}]}]}, {}, ["create"])])
	not t.says(deny, "backup_configuration.enabled") with input as t.plan([t.change("google_sql_database_instance", {"master_instance_name": "main"}, {}, ["create"])])
}

test_cloudsql_deletion_protection_deny if {
	t.says(deny, "deletion_protection must be true") with input as t.plan([t.change("google_sql_database_instance", {"deletion_protection": false}, {}, ["create"])])
}

test_cloudsql_deletion_protection_allow if {
	not t.says(deny, "deletion_protection must be true") with input as t.plan([t.change("google_sql_database_instance", {"deletion_protection": true}, {}, ["create"])])
}

test_gke_private_deny if {
	t.says(deny, "enable_private_nodes") with input as t.plan([t.change("google_container_cluster", {}, {}, ["create"])])
}

test_gke_private_allow if {
	not t.says(deny, "enable_private_nodes") with input as t.plan([t.change("google_container_cluster", {"private_cluster_config": [{"enable_private_nodes": true}]}, {}, ["create"])])
	not t.says(deny, "enable_private_nodes") with input as t.plan([t.change("google_container_cluster", {}, {"private_cluster_config": true}, ["create"])])
}

test_gke_authorized_networks_deny if {
	t.says(deny, "master_authorized_networks_config") with input as t.plan([t.change("google_container_cluster", {}, {}, ["create"])])
}

test_gke_authorized_networks_allow if {
	not t.says(deny, "master_authorized_networks_config") with input as t.plan([t.change("google_container_cluster", {"master_authorized_networks_config": [{"cidr_blocks": []}]}, {}, ["create"])])
	not t.says(deny, "master_authorized_networks_config") with input as t.plan([t.change("google_container_cluster", {"private_cluster_config": [{"enable_private_endpoint": true}]}, {}, ["create"])])
}

test_gke_workload_identity_deny if {
	t.says(deny, "workload_identity_config") with input as t.plan([t.change("google_container_cluster", {}, {}, ["create"])])
}

test_gke_workload_identity_allow if {
	not t.says(deny, "workload_identity_config") with input as t.plan([t.change("google_container_cluster", {"workload_identity_config": [{"workload_pool": "x"}]}, {}, ["create"])])
	not t.says(deny, "workload_identity_config") with input as t.plan([t.change("google_container_cluster", {"enable_autopilot": true}, {}, ["create"])])
}

test_gke_shielded_deny if {
	t.says(deny, "enable_shielded_nodes") with input as t.plan([t.change("google_container_cluster", {"enable_shielded_nodes": false}, {}, ["create"])])
}

test_gke_shielded_allow if {
	not t.says(deny, "enable_shielded_nodes") with input as t.plan([t.change("google_container_cluster", {"enable_shielded_nodes": true}, {}, ["create"])])
	not t.says(deny, "enable_shielded_nodes") with input as t.plan([t.change("google_container_cluster", {}, {}, ["create"])])
}

test_gcp_firewall_open_deny if {
	t.says(deny, "opens more than single web ports") with input as t.plan([t.change("google_compute_firewall", {"direction": "INGRESS", "source_ranges": ["0.0.0.0/0"], "allow": [{"protocol": "tcp", "ports": ["22"]}]}, {}, ["create"])])
	t.says(deny, "opens more than single web ports") with input as t.plan([t.change("google_compute_firewall", {"direction": "INGRESS", "source_ranges": ["0.0.0.0/0"], "allow": [{"protocol": "all"}]}, {}, ["create"])])
	t.says(deny, "opens more than single web ports") with input as t.plan([t.change("google_compute_firewall", {"direction": "INGRESS", "source_ranges": ["0.0.0.0/0"], "allow": [{"protocol": "tcp", "ports": ["1-65535"]}]}, {}, ["create"])])
}

test_gcp_firewall_open_allow if {
	not t.says(deny, "opens more than single web ports") with input as t.plan([t.change("google_compute_firewall", {"direction": "INGRESS", "source_ranges": ["0.0.0.0/0"], "allow": [{"protocol": "tcp", "ports": ["443"]}]}, {}, ["create"])])
	not t.says(deny, "opens more than single web ports") with input as t.plan([t.change("google_compute_firewall", {"direction": "INGRESS", "source_ranges": ["10.0.0.0/8"], "allow": [{"protocol": "all"}]}, {}, ["create"])])
}

test_azure_storage_tls_deny if {
	t.says(deny, "must be TLS1_2") with input as t.plan([t.change("azurerm_storage_account", {"min_tls_version": "TLS1_0"}, {}, ["create"])])
}

test_azure_storage_tls_allow if {
	not t.says(deny, "must be TLS1_2") with input as t.plan([t.change("azurerm_storage_account", {"min_tls_version": "TLS1_2", "https_traffic_only_enabled": true}, {}, ["create"])])
}

test_azure_storage_public_deny if {
	t.says(deny, "allow_nested_items_to_be_public") with input as t.plan([t.change("azurerm_storage_account", {"allow_nested_items_to_be_public": true}, {}, ["create"])])
}

test_azure_storage_public_allow if {
	not t.says(deny, "allow_nested_items_to_be_public") with input as t.plan([t.change("azurerm_storage_account", {"allow_nested_items_to_be_public": false}, {}, ["create"])])
	not t.says(deny, "allow_nested_items_to_be_public") with input as t.plan([t.change("azurerm_storage_account", {}, {"allow_nested_items_to_be_public": true}, ["create"])])
}

test_azure_postgres_public_deny if {
	t.says(deny, "public_network_access_enabled") with input as t.plan([t.change("azurerm_postgresql_flexible_server", {}, {}, ["create"])])
}

test_azure_postgres_public_allow if {
	not t.says(deny, "public_network_access_enabled") with input as t.plan([t.change("azurerm_postgresql_flexible_server", {"public_network_access_enabled": false}, {}, ["create"])])
	not t.says(deny, "public_network_access_enabled") with input as t.plan([t.change("azurerm_postgresql_flexible_server", {}, {"delegated_subnet_id": true, "public_network_access_enabled": true}, ["create"])])
	not t.says(deny, "public_network_access_enabled") with input as t.plan([t.change("azurerm_postgresql_flexible_server", {"delegated_subnet_id": "x"}, {}, ["create"])])
}

test_azure_postgres_backups_deny if {
	t.says(deny, "backup_retention_days") with input as t.plan([t.change("azurerm_postgresql_flexible_server", {"backup_retention_days": 1}, {}, ["create"])])
}

test_azure_postgres_backups_allow if {
	not t.says(deny, "backup_retention_days") with input as t.plan([t.change("azurerm_postgresql_flexible_server", {"backup_retention_days": 14}, {}, ["create"])])
	not t.says(deny, "backup_retention_days") with input as t.plan([t.change("azurerm_postgresql_flexible_server", {}, {"backup_retention_days": true}, ["create"])])
}

test_aks_private_deny if {
	t.says(deny, "private_cluster_enabled") with input as t.plan([t.change("azurerm_kubernetes_cluster", {}, {}, ["create"])])
}

test_aks_private_allow if {
	not t.says(deny, "private_cluster_enabled") with input as t.plan([t.change("azurerm_kubernetes_cluster", {"private_cluster_enabled": true}, {}, ["create"])])
	not t.says(deny, "private_cluster_enabled") with input as t.plan([t.change("azurerm_kubernetes_cluster", {"api_server_access_profile": [{"authorized_ip_ranges": ["192.0.2.0/24"]}]}, {}, ["create"])])
}

test_aks_local_accounts_deny if {
	t.says(deny, "local_account_disabled") with input as t.plan([t.change("azurerm_kubernetes_cluster", {}, {}, ["create"])])
}

test_aks_local_accounts_allow if {
	not t.says(deny, "local_account_disabled") with input as t.plan([t.change("azurerm_kubernetes_cluster", {"local_account_disabled": true}, {}, ["create"])])
}

test_aks_rbac_deny if {
	t.says(deny, "role_based_access_control_enabled") with input as t.plan([t.change("azurerm_kubernetes_cluster", {"role_based_access_control_enabled": false}, {}, ["create"])])
}

test_aks_rbac_allow if {
	not t.says(deny, "role_based_access_control_enabled") with input as t.plan([t.change("azurerm_kubernetes_cluster", {"role_based_access_control_enabled": true}, {}, ["create"])])
}

test_azure_nsg_open_deny if {
	t.says(deny, "must not be open to the internet") with input as t.plan([t.change("azurerm_network_security_rule", {"direction": "Inbound", "access": "Allow", "source_address_prefix": "*", "destination_port_range": "22"}, {}, ["create"])])
	t.says(deny, "must not be open to the internet") with input as t.plan([t.change("azurerm_network_security_rule", {"direction": "Inbound", "access": "Allow", "source_address_prefix": "*", "destination_port_range": "0-65535"}, {}, ["create"])])
}

test_azure_nsg_open_allow if {
	not t.says(deny, "must not be open to the internet") with input as t.plan([t.change("azurerm_network_security_rule", {"direction": "Inbound", "access": "Allow", "source_address_prefix": "*", "destination_port_range": "443"}, {}, ["create"])])
	not t.says(deny, "must not be open to the internet") with input as t.plan([t.change("azurerm_network_security_rule", {"direction": "Inbound", "access": "Allow", "source_address_prefix": "10.0.0.0/8", "destination_port_range": "22"}, {}, ["create"])])
}

test_azure_keyvault_purge_deny if {
	t.says(deny, "purge_protection_enabled") with input as t.plan([t.change("azurerm_key_vault", {}, {}, ["create"])])
}

test_azure_keyvault_purge_allow if {
	not t.says(deny, "purge_protection_enabled") with input as t.plan([t.change("azurerm_key_vault", {"purge_protection_enabled": true}, {}, ["create"])])
}

test_protected_destroy_deny if {
	t.says(deny, "the environment is protected") with input as t.plan([t.change("aws_db_instance", null, {}, ["delete"])])
	t.says(deny, "the environment is protected") with input as t.plan([t.change("aws_kms_key", {}, {}, ["delete", "create"])])
}

test_protected_destroy_allow if {
	not t.says(deny, "the environment is protected") with input as t.plan([t.change("aws_db_instance", {}, {}, ["update"])])
	not t.says(deny, "the environment is protected") with input as t.plan([t.change("aws_iam_role", null, {}, ["delete"])])
}

test_default_tags_deny if {
	t.says(warn, "lacks the tag") with input as t.plan([t.change("aws_db_instance", {"tags_all": {"team": "x"}}, {}, ["create"])])
	t.says(warn, "lacks the tag") with input as t.plan([t.change("aws_db_instance", {"tags_all": null}, {}, ["create"])])
}

test_default_tags_allow if {
	not t.says(warn, "lacks the tag") with input as t.plan([t.change("aws_db_instance", {"tags_all": {"strata:environment": "prod"}}, {}, ["create"])])
	not t.says(warn, "lacks the tag") with input as t.plan([t.change("aws_db_instance", {}, {"tags_all": true}, ["create"])])
	not t.says(warn, "lacks the tag") with input as t.plan([t.change("google_storage_bucket", {"effective_labels": {"environment": "prod"}}, {}, ["create"])])
}
