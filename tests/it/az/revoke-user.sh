#!/usr/bin/env bash
# The five steps of "azure-ir-06-token-revocation". Corrected: the log is asked by its own request, because the command is
# in an extension; the role that comes back is one of the directory's; a request for eligibility says why.
set -euo pipefail
suspect=alice@contoso.com

# (1) Sessions.
user=$(az ad user show --id "$suspect" --query id -o tsv)
az rest --method POST --uri "$GRAPH/v1.0/users/$user/revokeSignInSessions" --output none

# (2) The account.
az ad user update --id "$suspect" --account-enabled false

# (3) Where the user signed in.
query="SigninLogs | where UserPrincipalName == '$suspect' | where TimeGenerated > ago(7d) | project TimeGenerated, AppDisplayName, IPAddress, ResultType, RiskState"
az rest --method POST --url "$LOGS/v1/workspaces/$LAW_ID/query" --body "{\"query\": \"$query\"}" > "$WORK/sign-ins.json"

# (4) Every secret that the user could read; the list is what a responder makes of step 3.
echo kv-shop/shop-db > "$WORK/dependent-secrets.txt"
while IFS=/ read -r vault secret; do
  az keyvault secret set --vault-name "$vault" --name "$secret" --value "$(openssl rand -base64 48)" --output none
done < "$WORK/dependent-secrets.txt"

# (5) Access again, for eight hours and on demand.
az rest --method POST --uri "$GRAPH/v1.0/roleManagement/directory/roleEligibilityScheduleRequests" --output none --body "{
  \"action\": \"adminAssign\", \"principalId\": \"$user\", \"roleDefinitionId\": \"4a5d8f65-41da-4de4-8968-e035b65339cf\",
  \"directoryScopeId\": \"/\", \"justification\": \"after the review\",
  \"scheduleInfo\": {\"startDateTime\": \"$(date -u +%FT%TZ)\", \"expiration\": {\"type\": \"afterDuration\", \"duration\": \"PT8H\"}}}"
