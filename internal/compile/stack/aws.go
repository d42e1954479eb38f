package stack

import "strings"

// aws renders roots for Amazon Web Services.
type aws struct{}

func (aws) requirement() requirement {
	return requirement{"aws", "hashicorp/aws", ">= 5.46, < 7"}
}

func (aws) moduleInputs(*scope) object { return nil }

// cluster has the AWS CLI make a token whenever the provider needs one: it is valid for
// a quarter of an hour, and is in no plan, no state and no argument of a process.
func (aws) cluster(s *scope) object {
	args := []any{"eks", "get-token", "--cluster-name", s.text(s.unit.Cluster["name"]), "--region", escape(s.Region), "--output", "json"}
	if arn := s.roleARN(); arn != "" {
		args = append(args, "--role-arn", arn)
	}
	return object{
		"host":                   s.text(s.unit.Cluster["endpoint"]),
		"cluster_ca_certificate": s.decoded(s.unit.Cluster["certificate_authority"]),
		"exec":                   object{"api_version": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": args},
	}
}

func (aws) provider(s *scope) object {
	p := object{
		"region":       escape(s.Region),
		"default_tags": object{"tags": escapeStrings(s.tags())},
	}
	if s.isAccount() {
		return p
	}
	// With another account's credentials every plan fails before any change.
	p["allowed_account_ids"] = []any{s.accountID()}
	if arn := s.roleARN(); arn != "" {
		p["assume_role"] = object{"role_arn": arn, "session_name": "strata"}
	}
	return p
}

// roleARN returns the template of the ARN of the role to assume, or "".
func (s *scope) roleARN() string {
	role := s.role()
	if role == "" || s.RoleRef != nil || strings.HasPrefix(role, "arn:") {
		return role
	}
	partition := "aws"
	switch {
	case strings.HasPrefix(s.Region, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(s.Region, "us-gov-"):
		partition = "aws-us-gov"
	}
	return "arn:" + partition + ":iam::" + s.accountID() + ":role/" + role
}

// s3Backend locks with a file beside the state, so that the bucket is all there
// is to set up. A backend takes no variables: where the account is not known
// yet, only the provider can be pinned to it.
func s3Backend(s *scope, key string) object {
	region := s.State.Region
	if region == "" {
		region = s.Region
	}
	b := object{
		"bucket":       escape(s.State.Bucket),
		"key":          escape(key + "/terraform.tfstate"),
		"region":       escape(region),
		"encrypt":      true,
		"use_lockfile": true,
	}
	if s.State.KMSKey != "" {
		b["kms_key_id"] = escape(s.State.KMSKey)
	}
	if s.AccountRef == nil && s.RoleRef == nil && s.AccountID != "" && !s.isAccount() {
		b["allowed_account_ids"] = []any{escape(s.AccountID)}
		if arn := s.roleARN(); arn != "" {
			b["assume_role"] = object{"role_arn": arn, "session_name": "strata"}
		}
	}
	return b
}
