package webca

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/proxy/config"
)

// read returns the state and the Secret that it lies in; nil where there is none yet.
func (a *Authority) read(ctx context.Context) (*state, *corev1.Secret, error) {
	secret, err := a.Client.CoreV1().Secrets(cluster.SecretsNamespace).Get(ctx, cluster.SecretName(a.path), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the authorities: %w", err)
	}
	if got := secret.Annotations[cluster.SecretPath]; got != a.path {
		return nil, nil, fmt.Errorf("the Secret %s/%s is not that of %s: its annotation %s is %q", secret.Namespace, secret.Name, a.path, cluster.SecretPath, got)
	}
	s, err := decodeState(string(secret.Data[cluster.SecretKey]))
	if err != nil {
		return nil, nil, fmt.Errorf("the Secret %s/%s does not hold the authorities of Gateways: %w", secret.Namespace, secret.Name, err)
	}
	if s.Environment != a.options.Environment {
		return nil, nil, fmt.Errorf("the Secret %s/%s holds the authorities of the environment %s, and this is %s", secret.Namespace, secret.Name, s.Environment, a.options.Environment)
	}
	return s, secret, nil
}

// write writes the state into the Secret that it was read from; nil makes one. Somebody
// else's write in between is a conflict, and nothing is written.
func (a *Authority) write(ctx context.Context, s *state, into *corev1.Secret) (*corev1.Secret, error) {
	text, err := s.encode()
	if err != nil {
		return nil, err
	}
	secrets := a.Client.CoreV1().Secrets(cluster.SecretsNamespace)
	data := map[string][]byte{cluster.SecretKey: []byte(text)}
	if into == nil {
		into, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: cluster.SecretName(a.path), Namespace: cluster.SecretsNamespace, Labels: labels, Annotations: map[string]string{cluster.SecretPath: a.path}},
			Data:       data,
		}, metav1.CreateOptions{})
	} else {
		into = into.DeepCopy()
		into.Data = data
		into, err = secrets.Update(ctx, into, metav1.UpdateOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("write the authorities: %w", err)
	}
	return into, nil
}

// publish makes the ConfigMap beside the Gateways say what people have to trust, and how
// everything is.
func (a *Authority) publish(ctx context.Context, s *state, status *Status) error {
	text, err := json.MarshalIndent(status, "", "  ")
	if err != nil {
		return err
	}
	data := map[string]string{config.WebAuthoritiesKey: s.pems(), config.WebStatusKey: string(text) + "\n"}
	configMaps := a.Client.CoreV1().ConfigMaps(a.options.Namespace)
	have, err := configMaps.Get(ctx, config.WebAuthorities, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = configMaps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: a.options.Namespace, Name: config.WebAuthorities, Labels: labels}, Data: data}, metav1.CreateOptions{})
	case err == nil && !maps.Equal(have.Data, data):
		have = have.DeepCopy()
		have.Data = data
		_, err = configMaps.Update(ctx, have, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("publish the authorities: %w", err)
	}
	return nil
}
