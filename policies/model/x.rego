package strata.model
