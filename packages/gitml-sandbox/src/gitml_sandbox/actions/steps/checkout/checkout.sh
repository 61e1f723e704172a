#!/usr/bin/env bash
set -euo pipefail

fail() { echo "::error::$1"; exit 1; }

[ -z "$IN_UNSUPPORTED" ] || fail "the sandbox's checkout does not know the input $IN_UNSUPPORTED"
case "$IN_DEPTH" in '' | *[!0-9]*) fail "fetch-depth must be a whole number, not '$IN_DEPTH'" ;; esac
case "/$IN_PATH/" in */../*) fail "path must stay inside the workspace" ;; esac
case "$IN_PATH" in /*) fail "path must be relative to the workspace" ;; esac

folder="$GITHUB_WORKSPACE/$IN_PATH"
url="$GITHUB_SERVER_URL/$IN_REPOSITORY"
mkdir -p "$folder"
cd "$folder"
if [ ! -d .git ]; then
  # Whatever was here is not ours: the action leaves exactly the commit, so it empties the folder first.
  find . -mindepth 1 -maxdepth 1 -exec rm -rf {} +
  git init -q --initial-branch=main .
  git remote add origin "$url"
fi
git remote set-url origin "$url"
git config --local gc.auto 0
git config --local safe.directory "$folder"

header="AUTHORIZATION: basic $(printf 'x-access-token:%s' "$IN_TOKEN" | base64 | tr -d '\n')"
echo "::add-mask::${header##* }"
name="http.$GITHUB_SERVER_URL/.extraheader"
git config --local --unset-all "$name" || true
with_token() {
  # The token travels in the environment, where `ps` does not show it.
  GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="$name" GIT_CONFIG_VALUE_0="$header" git "$@"
}

depth=()
[ "$IN_DEPTH" = 0 ] || depth=(--depth="$IN_DEPTH")
tags=--no-tags
[ "$IN_TAGS" = true ] && tags=--tags

ref="$IN_REF"
commit=''
if [ -z "$ref" ] && [ "$IN_REPOSITORY" = "$GITHUB_REPOSITORY" ]; then
  ref="$GITHUB_REF"
  commit="$GITHUB_SHA"
elif [[ "$ref" =~ ^[0-9a-f]{40}$ ]]; then
  commit="$ref"
  ref=''
elif [ -z "$ref" ]; then
  ref="$(with_token ls-remote --symref origin HEAD | sed -n 's/^ref: \(.*\)\tHEAD$/\1/p')"
elif [[ "$ref" != refs/* ]]; then
  found="$(with_token ls-remote origin "refs/heads/$ref" "refs/tags/$ref" | cut -f2)"
  case $'\n'"$found"$'\n' in
    *$'\n'"refs/heads/$ref"$'\n'*) ref="refs/heads/$ref" ;;
    *$'\n'"refs/tags/$ref"$'\n'*) ref="refs/tags/$ref" ;;
    *) fail "a branch or tag with the name '$ref' could not be found in $IN_REPOSITORY" ;;
  esac
fi

case "$ref" in
  refs/heads/*) target="refs/remotes/origin/${ref#refs/heads/}" ;;
  refs/pull/*) target="refs/remotes/${ref#refs/}" ;;
  refs/*) target="$ref" ;;
  *) target='' ;;
esac

source="${commit:-$ref}"
if [ "$IN_DEPTH" = 0 ]; then
  with_token fetch --quiet --no-progress origin '+refs/heads/*:refs/remotes/origin/*' '+refs/tags/*:refs/tags/*'
fi
# A second fetch: the commit of the event may be older than its branch by now.
with_token fetch --quiet --no-progress "$tags" "${depth[@]}" origin "+$source${target:+:$target}"
[ -n "$commit" ] || commit="$(git rev-parse "${target}^{commit}")"
[ -z "$target" ] || [[ "$target" = refs/tags/* ]] || git update-ref "$target" "$commit"
case "$ref" in
  refs/heads/*) git checkout --quiet --force -B "${ref#refs/heads/}" "$target" ;;
  *) git checkout --quiet --force --detach "$commit" ;;
esac
if [ "$IN_PERSIST" = true ]; then
  git config --local "$name" "$header"
fi
git log -1 --format='HEAD is now at %h %s'
{
  echo "ref=$ref"
  echo "commit=$commit"
} >> "$GITHUB_OUTPUT"
