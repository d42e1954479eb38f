package cluster

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"
)

// SecretMadeUp is the annotation of a secret that people were to give and nobody had
// given when it was needed, so that its value was made up.
const SecretMadeUp = "strata.dev/made-up"

// MakeUpSecret makes the secret of a path with a value that nobody has thought of, and
// marks it so. One that is there already stays as it is; made reports which.
func MakeUpSecret(ctx context.Context, c *Client, path string) (made bool, err error) {
	made, err = WriteSecret(ctx, c, path, rand.Text(), false)
	if err != nil || !made {
		return made, err
	}
	s, err := secretAt(ctx, c, path)
	if s == nil || err != nil {
		return true, err
	}
	s.Annotations[SecretMadeUp] = "true"
	if _, err := c.Typed.CoreV1().Secrets(s.Namespace).Update(ctx, s, metav1.UpdateOptions{FieldManager: Manager}); err != nil {
		return true, fmt.Errorf("secret %s: %w", path, err)
	}
	return true, nil
}

// SecretInfo is what is known of a secret without its value.
type SecretInfo struct {
	Path string
	// Changed is when it was written for the last time.
	Changed time.Time
	MadeUp  bool
}

// Secrets lists the secrets of the environment. Values are not read.
func Secrets(ctx context.Context, c *Client) ([]SecretInfo, error) {
	md, err := metadata.NewForConfig(c.REST)
	if err != nil {
		return nil, err
	}
	list, err := md.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(SecretsNamespace).List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	var out []SecretInfo
	for _, o := range list.Items {
		path, ok := o.Annotations[SecretPath]
		if !ok {
			continue // somebody else's
		}
		info := SecretInfo{Path: path, Changed: o.CreationTimestamp.Time, MadeUp: o.Annotations[SecretMadeUp] != ""}
		for _, f := range o.ManagedFields {
			if f.Time != nil && f.Time.After(info.Changed) {
				info.Changed = f.Time.Time
			}
		}
		out = append(out, info)
	}
	return out, nil
}
