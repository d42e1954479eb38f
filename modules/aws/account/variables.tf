variable "platform" {
  description = "Name of the platform, which begins the names of the guard rails."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.platform))
    error_message = "The platform must be a DNS label."
  }
}

variable "environment" {
  description = "Name of the environment that the account is for."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.environment))
    error_message = "The environment must be a DNS label."
  }
}

variable "protected" {
  description = "Keeps the account open when it is destroyed here."
  type        = bool
  default     = true
  nullable    = false
}

variable "name" {
  description = "Name of the account."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.name) >= 1 && length(var.name) <= 50
    error_message = "The name must have 1 to 50 characters."
  }
}

variable "email" {
  description = "E-mail address of the account's root user, which no other AWS account has."
  type        = string
  # Other clouds have none, so the contract leaves it out where it may.
  default = null

  validation {
    condition     = var.email != null && can(regex("^[^\\s@]+@[^\\s@]+$", var.email)) && length(coalesce(var.email, "-")) <= 64
    error_message = "An AWS account needs the email of its root user, at most 64 characters, which no other AWS account has."
  }
}

variable "parent" {
  description = "Id of the organizational unit or root that the account is put in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32})$", var.parent))
    error_message = "The parent must be the id of an organizational unit (ou-ab12-cdefgh34) or of the root (r-ab12)."
  }
}

variable "budget" {
  description = "Monthly budget in US dollars, at 80 and 100 percent of which a mail goes to the account's address; null for none."
  type        = number
  default     = null

  validation {
    condition     = var.budget == null || (try(var.budget >= 1 && var.budget <= 100000000 && floor(var.budget) == var.budget, false))
    error_message = "The budget must be a whole number of US dollars from 1 to 100000000."
  }
}
