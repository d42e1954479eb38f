package strata.plan
