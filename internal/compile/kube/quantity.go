package kube

import "k8s.io/apimachinery/pkg/api/resource"

func resourceMebibytes(n int64) resource.Quantity {
	return *resource.NewQuantity(n<<20, resource.BinarySI)
}

func parseQuantity(s string) (resource.Quantity, error) { return resource.ParseQuantity(s) }
