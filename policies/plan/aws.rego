# Rules about AWS resources in a plan: data, keys, identities and logs.
package strata.plan

import data.strata.lib.plan

# METADATA
# title: Buckets block public access
# description: One wrong policy or ACL must not publish a bucket; the public access block overrules both.
# custom:
#   id: s3-public-access
#   severity: critical
#   layer: security
#   controls: ["CIS AWS Foundations 2.1.4"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_s3_bucket")
	not plan.companion(rc, {"aws_s3_bucket_public_access_block"}, "bucket", "bucket")
	msg := "the bucket has no aws_s3_bucket_public_access_block"
}

# METADATA
# title: Public access blocks block everything
# description: Each of the four settings closes another way to publish a bucket.
# custom:
#   id: s3-public-access-block
#   severity: critical
#   layer: security
#   controls: ["CIS AWS Foundations 2.1.4"]
deny contains plan.at(rc, msg) if {
	some rc in plan.of({"aws_s3_bucket_public_access_block", "aws_s3_account_public_access_block"})
	some field in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"]
	plan.off(rc, [field])
	msg := sprintf("%s must be true", [field])
}

# METADATA
# title: Buckets have no public ACL
# description: An ACL of this kind publishes every object.
# custom:
#   id: s3-acl
#   severity: critical
#   layer: security
#   controls: ["CIS AWS Foundations 2.1.4"]
deny contains plan.at(rc, msg) if {
	some rc in plan.of({"aws_s3_bucket_acl", "aws_s3_bucket"})
	acl := plan.value(rc, ["acl"])
	acl in {"public-read", "public-read-write", "authenticated-read"}
	msg := sprintf("the ACL must not be %s", [acl])
}

# METADATA
# title: Buckets keep versions
# description: Without versions an overwritten or deleted object is gone.
# custom:
#   id: s3-versioning
#   severity: medium
#   layer: provisioning
#   controls: ["CIS AWS Foundations 2.1.2"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_s3_bucket")
	not plan.companion(rc, {"aws_s3_bucket_versioning"}, "bucket", "bucket")
	msg := "the bucket has no aws_s3_bucket_versioning"
}

# METADATA
# title: Versioning is not suspended
# description: Suspended versioning keeps nothing new.
# custom:
#   id: s3-versioning-enabled
#   severity: medium
#   layer: provisioning
#   controls: ["CIS AWS Foundations 2.1.2"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_s3_bucket_versioning")
	status := plan.value(rc, ["versioning_configuration", 0, "status"])
	status in {"Suspended", "Disabled"}
	msg := sprintf("versioning must be Enabled, not %s", [status])
}

# METADATA
# title: Buckets name their encryption
# description: Who may read the key is decided, not inherited from a default.
# custom:
#   id: s3-encryption
#   severity: medium
#   layer: security
#   controls: ["CIS AWS Foundations 2.1.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_s3_bucket")
	not plan.companion(rc, {"aws_s3_bucket_server_side_encryption_configuration"}, "bucket", "bucket")
	msg := "the bucket has no aws_s3_bucket_server_side_encryption_configuration"
}

# METADATA
# title: Databases are encrypted at rest
# description: Encryption cannot be switched on later without a new database.
# custom:
#   id: rds-encryption
#   severity: critical
#   layer: security
#   controls: ["CIS AWS Foundations 2.2.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.of({"aws_db_instance", "aws_rds_cluster", "aws_docdb_cluster"})
	plan.off(rc, ["storage_encrypted"])
	plan.empty(rc, ["replicate_source_db"])
	msg := "storage_encrypted must be true"
}

# METADATA
# title: Databases have no public address
# description: A database is reached from the private network only.
# custom:
#   id: rds-public
#   severity: critical
#   layer: networking
#   controls: ["CIS AWS Foundations 2.2.3"]
deny contains plan.at(rc, msg) if {
	some rc in plan.of({"aws_db_instance", "aws_rds_cluster_instance"})
	plan.on(rc, ["publicly_accessible"])
	msg := "publicly_accessible must be false"
}

# METADATA
# title: Databases keep backups
# description: At least 7 days in a protected environment, 1 elsewhere.
# custom:
#   id: rds-backups
#   severity: critical
#   layer: provisioning
#   controls: ["CIS AWS Foundations 2.2", "Strata: no database without backups"]
deny contains plan.at(rc, msg) if {
	some rc in plan.of({"aws_db_instance", "aws_rds_cluster", "aws_docdb_cluster"})
	plan.empty(rc, ["replicate_source_db"])
	plan.below(rc, ["backup_retention_period"], backup_days)
	msg := sprintf("backup_retention_period must be at least %d", [backup_days])
}

default backup_days := 1

backup_days := 7 if plan.protected

# METADATA
# title: Databases of protected environments cannot be deleted
# description: Deletion protection stops what every other check let through.
# custom:
#   id: rds-deletion-protection
#   severity: high
#   layer: provisioning
#   controls: ["AWS Security Hub RDS.8"]
deny contains plan.at(rc, msg) if {
	plan.protected
	some rc in plan.of({"aws_db_instance", "aws_rds_cluster", "aws_docdb_cluster"})
	plan.off(rc, ["deletion_protection"])
	msg := "deletion_protection must be true in a protected environment"
}

# METADATA
# title: Databases of protected environments have a standby
# description: A standby in another zone takes over when the first one fails.
# custom:
#   id: rds-availability
#   severity: medium
#   layer: provisioning
#   controls: ["AWS Security Hub RDS.5"]
warn contains plan.at(rc, msg) if {
	plan.protected
	some rc in plan.resources("aws_db_instance")
	plan.empty(rc, ["replicate_source_db"])
	plan.off(rc, ["multi_az"])
	msg := "multi_az should be true in a protected environment"
}

# METADATA
# title: Databases export their logs
# description: Logs that stay on the instance are lost with it.
# custom:
#   id: rds-logs
#   severity: low
#   layer: observability
#   controls: ["AWS Security Hub RDS.9"]
warn contains plan.at(rc, msg) if {
	some rc in plan.of({"aws_db_instance", "aws_rds_cluster"})
	plan.empty(rc, ["enabled_cloudwatch_logs_exports"])
	msg := "enabled_cloudwatch_logs_exports should name the logs to keep"
}

# METADATA
# title: Passwords are not in the configuration
# description: A password that the plan shows is in the configuration and in the state. Let the cloud manage it, or use a write-only attribute.
# custom:
#   id: database-password
#   severity: critical
#   layer: security
#   controls: ["CIS AWS Foundations 2.2", "Strata: secrets are references"]
deny contains plan.at(rc, msg) if {
	some rc in plan.of(object.keys(password_attributes))
	some attribute in password_attributes[rc.type]
	password := plan.value(rc, [attribute])
	is_string(password)
	password != ""
	msg := sprintf("%s must not be a literal", [attribute])
}

password_attributes := {
	"aws_db_instance": ["password"],
	"aws_rds_cluster": ["master_password"],
	"aws_docdb_cluster": ["master_password"],
	"aws_elasticache_replication_group": ["auth_token"],
	"aws_secretsmanager_secret_version": ["secret_string"],
	"google_sql_user": ["password"],
	"google_sql_database_instance": ["root_password"],
	"google_secret_manager_secret_version": ["secret_data"],
	"azurerm_postgresql_flexible_server": ["administrator_password"],
	"azurerm_mysql_flexible_server": ["administrator_password"],
	"azurerm_key_vault_secret": ["value"],
}

# METADATA
# title: Caches encrypt on disk and on the wire
# description: Caches hold sessions and personal data as databases do.
# custom:
#   id: elasticache-encryption
#   severity: high
#   layer: security
#   controls: ["AWS Security Hub ElastiCache.4", "AWS Security Hub ElastiCache.5"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_elasticache_replication_group")
	some field in ["at_rest_encryption_enabled", "transit_encryption_enabled"]
	plan.off(rc, [field])
	not plan.value(rc, [field]) == "true"
	msg := sprintf("%s must be true", [field])
}

# METADATA
# title: Brokers have no public address
# description: A message broker is reached from the private network only.
# custom:
#   id: mq-public
#   severity: critical
#   layer: networking
#   controls: ["AWS Security Hub MQ.5"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_mq_broker")
	plan.on(rc, ["publicly_accessible"])
	msg := "publicly_accessible must be false"
}

# METADATA
# title: Brokers log
# description: Without the general log nobody sees who connected.
# custom:
#   id: mq-logs
#   severity: low
#   layer: observability
#   controls: ["AWS Security Hub MQ.2"]
warn contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_mq_broker")
	plan.off(rc, ["logs", 0, "general"])
	msg := "logs.general should be true"
}

# METADATA
# title: Kafka speaks TLS
# description: Between clients and brokers, and between brokers.
# custom:
#   id: msk-encryption
#   severity: high
#   layer: security
#   controls: ["AWS Security Hub MSK.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_msk_cluster")
	some msg in msk_wrong(rc)
}

msk_wrong(rc) := {m |
	transit := ["encryption_info", 0, "encryption_in_transit", 0]
	some m in ({"client_broker must be TLS" | plan.value(rc, array.concat(transit, ["client_broker"])) in {"PLAINTEXT", "TLS_PLAINTEXT"}} | {"in_cluster must be true" | plan.value(rc, array.concat(transit, ["in_cluster"])) == false})
}

# METADATA
# title: File systems are encrypted
# description: Encryption cannot be switched on later without a new file system.
# custom:
#   id: efs-encryption
#   severity: high
#   layer: security
#   controls: ["CIS AWS Foundations 2.3.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_efs_file_system")
	plan.off(rc, ["encrypted"])
	msg := "encrypted must be true"
}

# METADATA
# title: Volumes are encrypted
# description: A snapshot of an unencrypted volume can be copied anywhere.
# custom:
#   id: ebs-encryption
#   severity: high
#   layer: security
#   controls: ["CIS AWS Foundations 5.1.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_ebs_volume")
	plan.off(rc, ["encrypted"])
	msg := "encrypted must be true"
}

# METADATA
# title: Keys rotate
# description: A key that never changes protects everything that it ever protected.
# custom:
#   id: kms-rotation
#   severity: medium
#   layer: security
#   controls: ["CIS AWS Foundations 3.6"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_kms_key")
	plan.value(rc, ["customer_master_key_spec"]) in {null, "SYMMETRIC_DEFAULT"}
	plan.value(rc, ["key_usage"]) in {null, "ENCRYPT_DECRYPT"}
	plan.off(rc, ["enable_key_rotation"])
	msg := "enable_key_rotation must be true"
}

# METADATA
# title: Image tags cannot be moved
# description: A tag that moves makes yesterday's scan worthless.
# custom:
#   id: ecr-immutable
#   severity: medium
#   layer: security
#   controls: ["AWS Security Hub ECR.2"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_ecr_repository")
	not plan.unknown(rc, ["image_tag_mutability"])
	not startswith(object.get(rc.change.after, "image_tag_mutability", "MUTABLE"), "IMMUTABLE")
	msg := "image_tag_mutability must be IMMUTABLE"
}

# METADATA
# title: Images are scanned when pushed
# description: What is not scanned is not known to be vulnerable.
# custom:
#   id: ecr-scan
#   severity: medium
#   layer: security
#   controls: ["AWS Security Hub ECR.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_ecr_repository")
	plan.off(rc, ["image_scanning_configuration", 0, "scan_on_push"])
	msg := "image_scanning_configuration.scan_on_push must be true"
}

# METADATA
# title: IAM policies name actions and resources
# description: Action * on resource * is the account itself.
# custom:
#   id: iam-wildcard
#   severity: critical
#   layer: security
#   controls: ["CIS AWS Foundations 1.16"]
deny contains plan.at(rc, msg) if {
	some rc in plan.of({"aws_iam_policy", "aws_iam_role_policy", "aws_iam_group_policy", "aws_iam_user_policy"})
	policy := json.unmarshal(plan.value(rc, ["policy"]))
	some s in statements(policy)
	s.Effect == "Allow"
	some action in strings(s.Action)
	action in {"*", "*:*"}
	"*" in strings(s.Resource)
	msg := "the policy must not allow every action on every resource"
}

statements(policy) := policy.Statement if {
	is_array(policy.Statement)
} else := [policy.Statement]

strings(x) := x if {
	is_array(x)
} else := [x]

# METADATA
# title: People and programs have no IAM users
# description: Users have passwords and keys that live for years. People sign in by the identity provider, programs assume roles. The contract s3 hands out access keys, which its protocol knows nothing but, so its units may have users; what these may do is judged like any other policy.
# custom:
#   id: iam-user
#   severity: high
#   layer: security
#   controls: ["CIS AWS Foundations 1.15", "Strata: enterprise identity"]
deny contains plan.at(rc, msg) if {
	some rc in plan.of({"aws_iam_user", "aws_iam_access_key", "aws_iam_user_login_profile"})
	not user_of_bucket(rc)
	msg := sprintf("use a role instead of %s", [rc.type])
}

# The key itself must not be in the state, nor a password exist.
user_of_bucket(rc) if {
	rc.type == "aws_iam_user"
	input.strata.contract == "s3"
}

# METADATA
# title: Trails cover all regions and are verifiable
# description: What is not recorded, or can be rewritten, proves nothing.
# custom:
#   id: cloudtrail
#   severity: high
#   layer: observability
#   controls: ["CIS AWS Foundations 3.1", "CIS AWS Foundations 3.2", "CIS AWS Foundations 3.5"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_cloudtrail")
	some field in ["is_multi_region_trail", "enable_log_file_validation"]
	plan.off(rc, [field])
	msg := sprintf("%s must be true", [field])
}

# METADATA
# title: Trails are encrypted with a key of one's own
# description: Who may read the trail is decided by the key.
# custom:
#   id: cloudtrail-encryption
#   severity: medium
#   layer: security
#   controls: ["CIS AWS Foundations 3.5"]
deny contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_cloudtrail")
	plan.empty(rc, ["kms_key_id"])
	msg := "kms_key_id must be set"
}

# METADATA
# title: Secrets are encrypted with a key of one's own
# description: Another account can be given a secret only under a key of one's own, and its use is recorded.
# custom:
#   id: secret-key
#   severity: low
#   layer: security
#   controls: ["Strata: central secrets"]
warn contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_secretsmanager_secret")
	plan.empty(rc, ["kms_key_id"])
	msg := "kms_key_id should name a key of your own"
}

# METADATA
# title: Machines answer metadata requests with a token, one hop away
# description: Otherwise any pod, or a confused web server, fetches the machine's credentials.
# custom:
#   id: instance-metadata
#   severity: high
#   layer: runtime
#   controls: ["CIS AWS Foundations 5.7", "CIS EKS 4.1"]
deny contains plan.at(rc, msg) if {
	some rc in plan.of({"aws_launch_template", "aws_instance"})
	some msg in metadata_wrong(rc)
}

metadata_wrong(rc) := {m |
	not plan.unknown(rc, ["metadata_options", 0, "http_tokens"])
	not plan.value(rc, ["metadata_options", 0, "http_tokens"]) == "required"
	m := "metadata_options.http_tokens must be required"
} | {m |
	plan.value(rc, ["metadata_options", 0, "http_put_response_hop_limit"]) > 1
	m := "metadata_options.http_put_response_hop_limit must be 1"
}

# METADATA
# title: Logs have an end
# description: Logs that are kept for ever cost for ever, and personal data in them stays for ever.
# custom:
#   id: log-retention
#   severity: low
#   layer: observability
#   controls: ["GDPR Art. 5(1)(e)"]
warn contains plan.at(rc, msg) if {
	some rc in plan.resources("aws_cloudwatch_log_group")
	plan.empty(rc, ["retention_in_days"])
	msg := "retention_in_days should be set"
}
