package strata.plan_test

import data.strata.lib.testing as t
import data.strata.plan.deny
import data.strata.plan.warn

test_s3_public_access_deny if {
	t.says(deny, "no aws_s3_bucket_public_access_block") with input as t.plan([t.change("aws_s3_bucket", {"bucket": "b"}, {}, ["create"])])
	t.says(deny, "no aws_s3_bucket_public_access_block") with input as t.plan([t.change("aws_s3_bucket", {"bucket": "b"}, {}, ["create"]), t.change("aws_s3_bucket_public_access_block", {"bucket": "other"}, {}, ["create"])])
}

test_s3_public_access_allow if {
	not t.says(deny, "no aws_s3_bucket_public_access_block") with input as t.plan([t.change("aws_s3_bucket", {"bucket": "b"}, {}, ["create"]), t.change("aws_s3_bucket_public_access_block", {"bucket": "b", "block_public_acls": true, "block_public_policy": true, "ignore_public_acls": true, "restrict_public_buckets": true}, {}, ["create"])])
	not t.says(deny, "no aws_s3_bucket_public_access_block") with input as t.plan([t.change("aws_s3_bucket", {"bucket": "b"}, {}, ["create"]), t.change("aws_s3_bucket_public_access_block", {}, {"bucket": true}, ["create"])])
}

test_s3_public_access_block_deny if {
	t.says(deny, "block_public_acls must be true") with input as t.plan([t.change("aws_s3_bucket_public_access_block", {"bucket": "b", "block_public_acls": false, "block_public_policy": true, "ignore_public_acls": true, "restrict_public_buckets": true}, {}, ["create"])])
}

test_s3_public_access_block_allow if {
	not t.says(deny, "block_public_acls must be true") with input as t.plan([t.change("aws_s3_bucket_public_access_block", {"bucket": "b", "block_public_acls": true, "block_public_policy": true, "ignore_public_acls": true, "restrict_public_buckets": true}, {}, ["create"])])
	not t.says(deny, "block_public_acls must be true") with input as t.plan([t.change("aws_s3_bucket_public_access_block", {"bucket": "b"}, {"block_public_acls": true}, ["create"])])
}

test_s3_acl_deny if {
	t.says(deny, "the ACL must not be public-read") with input as t.plan([t.change("aws_s3_bucket_acl", {"acl": "public-read"}, {}, ["create"])])
}

test_s3_acl_allow if {
	not t.says(deny, "the ACL must not be public-read") with input as t.plan([t.change("aws_s3_bucket_acl", {"acl": "private"}, {}, ["create"])])
}

test_s3_versioning_deny if {
	t.says(deny, "no aws_s3_bucket_versioning") with input as t.plan([t.change("aws_s3_bucket", {"bucket": "b"}, {}, ["create"])])
}

test_s3_versioning_allow if {
	not t.says(deny, "no aws_s3_bucket_versioning") with input as t.plan([t.change("aws_s3_bucket", {"bucket": "b"}, {}, ["create"]), t.change("aws_s3_bucket_versioning", {"bucket": "b"}, {}, ["create"])])
}

test_s3_versioning_enabled_deny if {
	t.says(deny, "versioning must be Enabled") with input as t.plan([t.change("aws_s3_bucket_versioning", {"versioning_configuration": [{"status": "Suspended"}]}, {}, ["create"])])
}

test_s3_versioning_enabled_allow if {
	not t.says(deny, "versioning must be Enabled") with input as t.plan([t.change("aws_s3_bucket_versioning", {"versioning_configuration": [{"status": "Enabled"}]}, {}, ["create"])])
}

test_s3_encryption_deny if {
	t.says(deny, "no aws_s3_bucket_server_side_encryption") with input as t.plan([t.change("aws_s3_bucket", {"bucket": "b"}, {}, ["create"])])
}

test_s3_encryption_allow if {
	not t.says(deny, "no aws_s3_bucket_server_side_encryption") with input as t.plan([t.change("aws_s3_bucket", {"bucket": "b"}, {}, ["create"]), t.change("aws_s3_bucket_server_side_encryption_configuration", {"bucket": "b"}, {}, ["create"])])
}

test_rds_encryption_deny if {
	t.says(deny, "storage_encrypted must be true") with input as t.plan([t.change("aws_db_instance", {"storage_encrypted": false}, {}, ["create"])])
	t.says(deny, "storage_encrypted must be true") with input as t.plan([t.change("aws_rds_cluster", {}, {}, ["create"])])
}

test_rds_encryption_allow if {
	not t.says(deny, "storage_encrypted must be true") with input as t.plan([t.change("aws_db_instance", {"storage_encrypted": true}, {}, ["create"])])
	not t.says(deny, "storage_encrypted must be true") with input as t.plan([t.change("aws_db_instance", {}, {"storage_encrypted": true}, ["create"])])
	not t.says(deny, "storage_encrypted must be true") with input as t.plan([t.change("aws_db_instance", {"replicate_source_db": "x"}, {}, ["create"])])
}

test_rds_public_deny if {
	t.says(deny, "publicly_accessible must be false") with input as t.plan([t.change("aws_db_instance", {"publicly_accessible": true}, {}, ["create"])])
}

test_rds_public_allow if {
	not t.says(deny, "publicly_accessible must be false") with input as t.plan([t.change("aws_db_instance", {"publicly_accessible": false}, {}, ["create"])])
	not t.says(deny, "publicly_accessible must be false") with input as t.plan([t.change("aws_db_instance", {}, {"publicly_accessible": true}, ["create"])])
}

test_rds_backups_deny if {
	t.says(deny, "backup_retention_period must be at least 7") with input as t.plan([t.change("aws_db_instance", {"backup_retention_period": 1}, {}, ["create"])])
	t.says(deny, "backup_retention_period must be at least 7") with input as t.plan([t.change("aws_db_instance", {}, {}, ["create"])])
}

test_rds_backups_allow if {
	not t.says(deny, "backup_retention_period must be at least 7") with input as t.plan([t.change("aws_db_instance", {"backup_retention_period": 7}, {}, ["create"])])
	not t.says(deny, "backup_retention_period must be at least 7") with input as t.plan([t.change("aws_db_instance", {}, {"backup_retention_period": true}, ["create"])])
}

test_rds_deletion_protection_deny if {
	t.says(deny, "deletion_protection must be true") with input as t.plan([t.change("aws_db_instance", {"deletion_protection": false}, {}, ["create"])])
}

test_rds_deletion_protection_allow if {
	not t.says(deny, "deletion_protection must be true") with input as t.plan([t.change("aws_db_instance", {"deletion_protection": true}, {}, ["create"])])
	not t.says(deny, "deletion_protection must be true") with input as t.plan([t.change("aws_db_instance", {}, {"deletion_protection": true}, ["create"])])
}

test_rds_availability_deny if {
	t.says(warn, "multi_az should be true") with input as t.plan([t.change("aws_db_instance", {"multi_az": false}, {}, ["create"])])
}

test_rds_availability_allow if {
	not t.says(warn, "multi_az should be true") with input as t.plan([t.change("aws_db_instance", {"multi_az": true}, {}, ["create"])])
	not t.says(warn, "multi_az should be true") with input as t.plan([t.change("aws_db_instance", {}, {"multi_az": true}, ["create"])])
}

test_rds_logs_deny if {
	t.says(warn, "enabled_cloudwatch_logs_exports") with input as t.plan([t.change("aws_db_instance", {}, {}, ["create"])])
}

test_rds_logs_allow if {
	not t.says(warn, "enabled_cloudwatch_logs_exports") with input as t.plan([t.change("aws_db_instance", {"enabled_cloudwatch_logs_exports": ["postgresql"]}, {}, ["create"])])
	not t.says(warn, "enabled_cloudwatch_logs_exports") with input as t.plan([t.change("aws_db_instance", {}, {"enabled_cloudwatch_logs_exports": true}, ["create"])])
}

test_database_password_deny if {
	t.says(deny, "password must not be a literal") with input as t.plan([t.change("aws_db_instance", {"password": "hunter2"}, {}, ["create"])])
	t.says(deny, "password must not be a literal") with input as t.plan([t.change("google_sql_user", {"password": "x"}, {}, ["create"])])
}

test_database_password_allow if {
	not t.says(deny, "password must not be a literal") with input as t.plan([t.change("aws_db_instance", {"manage_master_user_password": true}, {}, ["create"])])
	not t.says(deny, "password must not be a literal") with input as t.plan([t.change("aws_db_instance", {}, {"password": true}, ["create"])])
}

test_elasticache_encryption_deny if {
	t.says(deny, "_encryption_enabled must be true") with input as t.plan([t.change("aws_elasticache_replication_group", {"at_rest_encryption_enabled": true}, {}, ["create"])])
}

test_elasticache_encryption_allow if {
	not t.says(deny, "_encryption_enabled must be true") with input as t.plan([t.change("aws_elasticache_replication_group", {"at_rest_encryption_enabled": "true", "transit_encryption_enabled": true}, {}, ["create"])])
	not t.says(deny, "_encryption_enabled must be true") with input as t.plan([t.change("aws_elasticache_replication_group", {"at_rest_encryption_enabled": true}, {"transit_encryption_enabled": true}, ["create"])])
}

test_mq_public_deny if {
	t.says(deny, "publicly_accessible must be false") with input as t.plan([t.change("aws_mq_broker", {"publicly_accessible": true}, {}, ["create"])])
}

test_mq_public_allow if {
	not t.says(deny, "publicly_accessible must be false") with input as t.plan([t.change("aws_mq_broker", {"publicly_accessible": false}, {}, ["create"])])
}

test_mq_logs_deny if {
	t.says(warn, "logs.general should be true") with input as t.plan([t.change("aws_mq_broker", {}, {}, ["create"])])
}

test_mq_logs_allow if {
	not t.says(warn, "logs.general should be true") with input as t.plan([t.change("aws_mq_broker", {"logs": [{"general": true}]}, {}, ["create"])])
	not t.says(warn, "logs.general should be true") with input as t.plan([t.change("aws_mq_broker", {}, {"logs": true}, ["create"])])
}

test_msk_encryption_deny if {
	t.says(deny, "client_broker must be TLS") with input as t.plan([t.change("aws_msk_cluster", {"encryption_info": [{"encryption_in_transit": [{"client_broker": "TLS_PLAINTEXT"}]}]}, {}, ["create"])])
}

test_msk_encryption_allow if {
	not t.says(deny, "client_broker must be TLS") with input as t.plan([t.change("aws_msk_cluster", {"encryption_info": [{"encryption_in_transit": [{"client_broker": "TLS", "in_cluster": true}]}]}, {}, ["create"])])
	not t.says(deny, "client_broker must be TLS") with input as t.plan([t.change("aws_msk_cluster", {}, {}, ["create"])])
}

test_efs_encryption_deny if {
	t.says(deny, "encrypted must be true") with input as t.plan([t.change("aws_efs_file_system", {}, {}, ["create"])])
}

test_efs_encryption_allow if {
	not t.says(deny, "encrypted must be true") with input as t.plan([t.change("aws_efs_file_system", {"encrypted": true}, {}, ["create"])])
}

test_ebs_encryption_deny if {
	t.says(deny, "encrypted must be true") with input as t.plan([t.change("aws_ebs_volume", {"encrypted": false}, {}, ["create"])])
}

test_ebs_encryption_allow if {
	not t.says(deny, "encrypted must be true") with input as t.plan([t.change("aws_ebs_volume", {"encrypted": true}, {}, ["create"])])
	not t.says(deny, "encrypted must be true") with input as t.plan([t.change("aws_ebs_volume", {}, {"encrypted": true}, ["create"])])
}

test_kms_rotation_deny if {
	t.says(deny, "enable_key_rotation") with input as t.plan([t.change("aws_kms_key", {"enable_key_rotation": false}, {}, ["create"])])
}

test_kms_rotation_allow if {
	not t.says(deny, "enable_key_rotation") with input as t.plan([t.change("aws_kms_key", {"enable_key_rotation": true}, {}, ["create"])])
	not t.says(deny, "enable_key_rotation") with input as t.plan([t.change("aws_kms_key", {"customer_master_key_spec": "RSA_2048"}, {}, ["create"])])
}

test_ecr_immutable_deny if {
	t.says(deny, "image_tag_mutability") with input as t.plan([t.change("aws_ecr_repository", {"image_tag_mutability": "MUTABLE"}, {}, ["create"])])
}

test_ecr_immutable_allow if {
	not t.says(deny, "image_tag_mutability") with input as t.plan([t.change("aws_ecr_repository", {"image_tag_mutability": "IMMUTABLE"}, {}, ["create"])])
	not t.says(deny, "image_tag_mutability") with input as t.plan([t.change("aws_ecr_repository", {}, {"image_tag_mutability": true}, ["create"])])
}

test_ecr_scan_deny if {
	t.says(deny, "scan_on_push") with input as t.plan([t.change("aws_ecr_repository", {}, {}, ["create"])])
}

test_ecr_scan_allow if {
	not t.says(deny, "scan_on_push") with input as t.plan([t.change("aws_ecr_repository", {"image_scanning_configuration": [{"scan_on_push": true}]}, {}, ["create"])])
}

test_iam_wildcard_deny if {
	t.says(deny, "must not allow every action") with input as t.plan([t.change("aws_iam_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"*\", \"Resource\": \"*\"}]}"}, {}, ["create"])])
	t.says(deny, "must not allow every action") with input as t.plan([t.change("aws_iam_role_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Action\": [\"s3:Get*\", \"*\"], \"Resource\": [\"*\"]}]}"}, {}, ["create"])])
}

test_iam_wildcard_allow if {
	not t.says(deny, "must not allow every action") with input as t.plan([t.change("aws_iam_policy", {"policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Action\": [\"s3:GetObject\"], \"Resource\": \"*\"}]}"}, {}, ["create"])])
	not t.says(deny, "must not allow every action") with input as t.plan([t.change("aws_iam_policy", {}, {"policy": true}, ["create"])])
}

test_iam_user_deny if {
	t.says(deny, "use a role instead") with input as t.plan([t.change("aws_iam_user", {"name": "ci"}, {}, ["create"])])
	t.says(deny, "use a role instead") with input as t.plan([t.change("aws_iam_access_key", {}, {}, ["create"])])
	t.says(deny, "use a role instead") with input as t.plan_of("postgres", [t.change("aws_iam_user", {"name": "ci"}, {}, ["create"])])
	t.says(deny, "use a role instead") with input as t.plan_of("s3", [t.change("aws_iam_access_key", {}, {}, ["create"])])
	t.says(deny, "use a role instead") with input as t.plan_of("s3", [t.change("aws_iam_user_login_profile", {}, {}, ["create"])])
}

test_iam_user_allow if {
	not t.says(deny, "use a role instead") with input as t.plan([t.change("aws_iam_role", {"name": "ci"}, {}, ["create"])])
	not t.says(deny, "use a role instead") with input as t.plan_of("s3", [t.change("aws_iam_user", {"name": "bucket"}, {}, ["create"])])
}

test_cloudtrail_deny if {
	t.says(deny, "is_multi_region_trail must be true") with input as t.plan([t.change("aws_cloudtrail", {"enable_log_file_validation": true}, {}, ["create"])])
}

test_cloudtrail_allow if {
	not t.says(deny, "is_multi_region_trail must be true") with input as t.plan([t.change("aws_cloudtrail", {"is_multi_region_trail": true, "enable_log_file_validation": true}, {}, ["create"])])
}

test_cloudtrail_encryption_deny if {
	t.says(deny, "kms_key_id must be set") with input as t.plan([t.change("aws_cloudtrail", {}, {}, ["create"])])
}

test_cloudtrail_encryption_allow if {
	not t.says(deny, "kms_key_id must be set") with input as t.plan([t.change("aws_cloudtrail", {"kms_key_id": "arn"}, {}, ["create"])])
	not t.says(deny, "kms_key_id must be set") with input as t.plan([t.change("aws_cloudtrail", {}, {"kms_key_id": true}, ["create"])])
}

test_secret_key_deny if {
	t.says(warn, "kms_key_id should name") with input as t.plan([t.change("aws_secretsmanager_secret", {}, {}, ["create"])])
}

test_secret_key_allow if {
	not t.says(warn, "kms_key_id should name") with input as t.plan([t.change("aws_secretsmanager_secret", {}, {"kms_key_id": true}, ["create"])])
}

test_instance_metadata_deny if {
	t.says(deny, "metadata_options.http_") with input as t.plan([t.change("aws_launch_template", {}, {}, ["create"])])
	t.says(deny, "metadata_options.http_") with input as t.plan([t.change("aws_launch_template", {"metadata_options": [{"http_tokens": "required", "http_put_response_hop_limit": 2}]}, {}, ["create"])])
}

test_instance_metadata_allow if {
	not t.says(deny, "metadata_options.http_") with input as t.plan([t.change("aws_launch_template", {"metadata_options": [{"http_tokens": "required", "http_put_response_hop_limit": 1}]}, {}, ["create"])])
	not t.says(deny, "metadata_options.http_") with input as t.plan([t.change("aws_instance", {}, {"metadata_options": true}, ["create"])])
}

test_log_retention_deny if {
	t.says(warn, "retention_in_days") with input as t.plan([t.change("aws_cloudwatch_log_group", {"retention_in_days": 0}, {}, ["create"])])
}

test_log_retention_allow if {
	not t.says(warn, "retention_in_days") with input as t.plan([t.change("aws_cloudwatch_log_group", {"retention_in_days": 30}, {}, ["create"])])
}

test_sg_admin_ports_deny if {
	t.says(deny, "ports 22 and 3389") with input as t.plan([t.change("aws_security_group", {"ingress": [{"from_port": 0, "to_port": 1024, "protocol": "tcp", "cidr_blocks": ["0.0.0.0/0"], "ipv6_cidr_blocks": []}]}, {}, ["create"])])
	t.says(deny, "ports 22 and 3389") with input as t.plan([t.change("aws_vpc_security_group_ingress_rule", {"cidr_ipv6": "::/0", "ip_protocol": "tcp", "from_port": 22, "to_port": 22}, {}, ["create"])])
	t.says(deny, "ports 22 and 3389") with input as t.plan([t.change("aws_security_group_rule", {"type": "ingress", "cidr_blocks": ["0.0.0.0/0"], "protocol": "-1", "from_port": 0, "to_port": 0}, {}, ["create"])])
}

test_sg_admin_ports_allow if {
	not t.says(deny, "ports 22 and 3389") with input as t.plan([t.change("aws_security_group", {"ingress": [{"from_port": 22, "to_port": 22, "protocol": "tcp", "cidr_blocks": ["10.0.0.0/8"], "ipv6_cidr_blocks": []}]}, {}, ["create"])])
	not t.says(deny, "ports 22 and 3389") with input as t.plan([t.change("aws_security_group", {"ingress": [{"from_port": 443, "to_port": 443, "protocol": "tcp", "cidr_blocks": ["0.0.0.0/0"], "ipv6_cidr_blocks": []}]}, {}, ["create"])])
	not t.says(deny, "ports 22 and 3389") with input as t.plan([t.change("aws_security_group", {}, {"ingress": true}, ["create"])])
	not t.says(deny, "ports 22 and 3389") with input as t.plan([t.change("aws_security_group_rule", {"type": "egress", "cidr_blocks": ["0.0.0.0/0"], "protocol": "-1", "from_port": 0, "to_port": 0}, {}, ["create"])])
}

test_sg_open_deny if {
	t.says(deny, "must not be open to the internet") with input as t.plan([t.change("aws_security_group", {"ingress": [{"from_port": 8000, "to_port": 9000, "protocol": "tcp", "cidr_blocks": ["0.0.0.0/0"], "ipv6_cidr_blocks": []}]}, {}, ["create"])])
	t.says(deny, "must not be open to the internet") with input as t.plan([t.change("aws_security_group", {"ingress": [{"from_port": 5432, "to_port": 5432, "protocol": "tcp", "cidr_blocks": ["0.0.0.0/0"], "ipv6_cidr_blocks": []}]}, {}, ["create"])])
}

test_sg_open_allow if {
	not t.says(deny, "must not be open to the internet") with input as t.plan([t.change("aws_security_group", {"ingress": [{"from_port": 443, "to_port": 443, "protocol": "tcp", "cidr_blocks": ["0.0.0.0/0"], "ipv6_cidr_blocks": []}]}, {}, ["create"])])
	not t.says(deny, "must not be open to the internet") with input as t.plan([t.change("aws_security_group", {"ingress": [{"from_port": 8000, "to_port": 9000, "protocol": "tcp", "cidr_blocks": ["10.0.0.0/8"], "ipv6_cidr_blocks": []}]}, {}, ["create"])])
}

test_nacl_admin_ports_deny if {
	t.says(deny, "ports 22 and 3389") with input as t.plan([t.change("aws_network_acl_rule", {"egress": false, "rule_action": "allow", "cidr_block": "0.0.0.0/0", "protocol": "tcp", "from_port": 22, "to_port": 22}, {}, ["create"])])
	t.says(deny, "ports 22 and 3389") with input as t.plan([t.change("aws_network_acl_rule", {"egress": false, "rule_action": "allow", "cidr_block": "0.0.0.0/0", "protocol": "-1", "from_port": 22, "to_port": 22}, {}, ["create"])])
}

test_nacl_admin_ports_allow if {
	not t.says(deny, "ports 22 and 3389") with input as t.plan([t.change("aws_network_acl_rule", {"egress": false, "rule_action": "deny", "cidr_block": "0.0.0.0/0", "protocol": "tcp", "from_port": 22, "to_port": 22}, {}, ["create"])])
	not t.says(deny, "ports 22 and 3389") with input as t.plan([t.change("aws_network_acl_rule", {"egress": true, "rule_action": "allow", "cidr_block": "0.0.0.0/0", "protocol": "tcp", "from_port": 22, "to_port": 22}, {}, ["create"])])
	not t.says(deny, "ports 22 and 3389") with input as t.plan([t.change("aws_network_acl_rule", {"egress": false, "rule_action": "allow", "cidr_block": "0.0.0.0/0", "protocol": "tcp", "from_port": 443, "to_port": 443}, {}, ["create"])])
}

test_default_security_group_deny if {
	t.says(deny, "the default security group must have no ingress") with input as t.plan([t.change("aws_default_security_group", {"ingress": [{"self": true}]}, {}, ["create"])])
}

test_default_security_group_allow if {
	not t.says(deny, "the default security group must have no ingress") with input as t.plan([t.change("aws_default_security_group", {"ingress": [], "egress": []}, {}, ["create"])])
	not t.says(deny, "the default security group must have no ingress") with input as t.plan([t.change("aws_default_security_group", {}, {}, ["create"])])
}

test_vpc_flow_logs_deny if {
	t.says(deny, "no aws_flow_log") with input as t.plan([t.change("aws_vpc", {"cidr_block": "10.0.0.0/16"}, {"id": true}, ["create"])])
}

test_vpc_flow_logs_allow if {
	not t.says(deny, "no aws_flow_log") with input as t.plan([t.change("aws_vpc", {}, {"id": true}, ["create"]), t.change("aws_flow_log", {}, {"vpc_id": true}, ["create"])])
	not t.says(deny, "no aws_flow_log") with input as t.plan([t.change("aws_vpc", {"id": "vpc-1"}, {}, ["create"]), t.change("aws_flow_log", {"vpc_id": "vpc-1"}, {}, ["create"])])
}

test_load_balancer_tls_deny if {
	t.says(deny, "must redirect to HTTPS") with input as t.plan([t.change("aws_lb_listener", {"protocol": "HTTP", "default_action": [{"type": "forward"}]}, {}, ["create"])])
}

test_load_balancer_tls_allow if {
	not t.says(deny, "must redirect to HTTPS") with input as t.plan([t.change("aws_lb_listener", {"protocol": "HTTP", "default_action": [{"type": "redirect"}]}, {}, ["create"])])
	not t.says(deny, "must redirect to HTTPS") with input as t.plan([t.change("aws_lb_listener", {"protocol": "HTTPS"}, {}, ["create"])])
}

test_eks_endpoint_deny if {
	t.says(deny, "the public endpoint must be off") with input as t.plan([t.change("aws_eks_cluster", {"vpc_config": [{"endpoint_private_access": true, "endpoint_public_access": true, "public_access_cidrs": ["0.0.0.0/0"]}]}, {}, ["create"])])
	t.says(deny, "the public endpoint must be off") with input as t.plan([t.change("aws_eks_cluster", {"vpc_config": [{"endpoint_private_access": true}]}, {}, ["create"])])
}

test_eks_endpoint_allow if {
	not t.says(deny, "the public endpoint must be off") with input as t.plan([t.change("aws_eks_cluster", {"vpc_config": [{"endpoint_private_access": true, "endpoint_public_access": false}]}, {}, ["create"])])
	not t.says(deny, "the public endpoint must be off") with input as t.plan([t.change("aws_eks_cluster", {"vpc_config": [{"endpoint_private_access": true, "endpoint_public_access": true, "public_access_cidrs": ["192.0.2.0/24"]}]}, {}, ["create"])])
	not t.says(deny, "the public endpoint must be off") with input as t.plan([t.change("aws_eks_cluster", {"vpc_config": [{"endpoint_public_access": true}]}, {"vpc_config": [{"public_access_cidrs": true}]}, ["create"])])
}

test_eks_secrets_encryption_deny if {
	t.says(deny, "encryption_config must encrypt") with input as t.plan([t.change("aws_eks_cluster", {}, {}, ["create"])])
}

test_eks_secrets_encryption_allow if {
	not t.says(deny, "encryption_config must encrypt") with input as t.plan([t.change("aws_eks_cluster", {"encryption_config": [{"resources": ["secrets"]}]}, {}, ["create"])])
	not t.says(deny, "encryption_config must encrypt") with input as t.plan([t.change("aws_eks_cluster", {}, {"encryption_config": true}, ["create"])])
}

test_eks_logs_deny if {
	t.says(deny, "enabled_cluster_log_types lacks audit") with input as t.plan([t.change("aws_eks_cluster", {"enabled_cluster_log_types": ["api", "authenticator", "controllerManager", "scheduler"]}, {}, ["create"])])
}

test_eks_logs_allow if {
	not t.says(deny, "enabled_cluster_log_types lacks audit") with input as t.plan([t.change("aws_eks_cluster", {"enabled_cluster_log_types": ["api", "audit", "authenticator", "controllerManager", "scheduler"]}, {}, ["create"])])
	not t.says(deny, "enabled_cluster_log_types lacks audit") with input as t.plan([t.change("aws_eks_cluster", {}, {"enabled_cluster_log_types": true}, ["create"])])
}
