#!/usr/bin/env bash
# The five steps of "azure-ir-05-vm-isolation", in their order. Corrected: every interface and every identity instead of
# the first one, and the activity log without its usual end after 50 events.
set -euo pipefail
incident=ir-2026-05-23-001 group=rg-workload-prod name=vm-app-01
machine="/subscriptions/$SUB_ID/resourceGroups/$group/providers/Microsoft.Compute/virtualMachines/$name"

# (1) A snapshot of every disk before anything else is touched.
for disk in $(az vm show --ids "$machine" --query '[storageProfile.osDisk.managedDisk.id, storageProfile.dataDisks[].managedDisk.id][]' -o tsv); do
  az snapshot create --resource-group rg-forensic-prod --name "snap-$incident-$(basename "$disk")" \
    --source "$disk" --incremental true --tags incident_id="$incident" source_vm="$name" --output none
done

# (2) The quarantine NSG that was prepared beforehand.
for nic in $(az vm show --ids "$machine" --query 'networkProfile.networkInterfaces[].id' -o tsv); do
  az network nic update --ids "$nic" --output none --network-security-group \
    "/subscriptions/$SUB_ID/resourceGroups/rg-security-prod/providers/Microsoft.Network/networkSecurityGroups/nsg-ir-quarantine"
done

# (3) Every managed identity.
mapfile -t assigned < <(az vm show --ids "$machine" --query 'keys(identity.userAssignedIdentities || `{}`)[]' -o tsv)
az vm identity remove --ids "$machine" --identities '[system]' "${assigned[@]}" --output none

# (4) Tags.
az tag update --operation merge --resource-id "$machine" --output none \
  --tags incident_id="$incident" ir-status=isolated isolated_at="$(date -u +%FT%TZ)"

# (5) The activity log of the last day, into the forensic account.
log="$WORK/activity-log-$incident-$group.json"
az monitor activity-log list --resource-group "$group" --start-time "$(date -u -d '-24 hours' +%FT%TZ)" \
  --offset 24h --max-events 100000 --output json > "$log"
az storage blob upload --account-name stforensicirprodweu --container-name ir-evidence \
  --name "$incident/activity-log-$group.json" --file "$log" --auth-mode login --output none
