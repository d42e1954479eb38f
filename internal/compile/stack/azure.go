package stack

// azure renders roots for Microsoft Azure.
type azure struct{}

func (azure) requirement() requirement {
	return requirement{"azurerm", "hashicorp/azurerm", ">= 4, < 5"}
}

// moduleInputs passes region and tags: the provider knows neither a default
// region nor default tags, so that every module of this cloud has variables for
// them.
func (azure) cluster(*scope) object { return nil }

func (azure) moduleInputs(s *scope) object {
	return object{"location": escape(s.Region), "tags": escapeStrings(s.tags())}
}

func (azure) provider(s *scope) object {
	p := object{
		"features":                        object{},
		"resource_provider_registrations": "none",
	}
	if s.isAccount() {
		return p
	}
	p["subscription_id"] = s.accountID()
	if role := s.role(); role != "" {
		p["client_id"] = role
	}
	return p
}

// azurermBackend locks with a lease on the blob and signs in with Entra ID
// instead of the storage account's key.
func azurermBackend(s *scope, key string) object {
	b := object{
		"resource_group_name":  escape(s.State.ResourceGroup),
		"storage_account_name": escape(s.State.Account),
		"container_name":       escape(s.State.Bucket),
		"key":                  escape(key + "/terraform.tfstate"),
		"use_azuread_auth":     true,
	}
	if s.AccountRef == nil && s.AccountID != "" && !s.isAccount() {
		b["subscription_id"] = escape(s.AccountID)
	}
	return b
}
