#!/usr/bin/env bash
# What a responder does by hand with the Azure CLI today, in the order that isolate-vm keeps: snapshots, quarantine,
# identity, tag, activity log. Every disk and every interface, where the scripts in circulation take the first one.
# isolate-vm.sh INCIDENT SUBSCRIPTION GROUP NAME FOLDER BEGAN; the log is taken up to when the case BEGAN, so that it is not
# about the responder.
set -euo pipefail
incident=$1 subscription=$2 group=$3 name=$4 folder=$5 began=$6
machine="/subscriptions/$subscription/resourceGroups/$group/providers/Microsoft.Compute/virtualMachines/$name"

location=$(az vm show --ids "$machine" --query location -o tsv)
# Named first: a list that could not be had must end the script, and inside of `for` it would not.
disks=$(az vm show --ids "$machine" --query '[storageProfile.osDisk.managedDisk.id, storageProfile.dataDisks[].managedDisk.id][]' -o tsv)
nics=$(az vm show --ids "$machine" --query 'networkProfile.networkInterfaces[].id' -o tsv)
for disk in $disks; do
  az snapshot create --subscription "$subscription" --resource-group rg-forensic-prod --location "$location" \
    --name "snap-$incident-$(basename "$disk")" --source "$disk" --incremental true \
    --tags incident_id="$incident" source_vm="$name" --output none
done

for nic in $nics; do
  az network nic update --ids "$nic" --output none --network-security-group \
    "/subscriptions/$subscription/resourceGroups/rg-security-prod/providers/Microsoft.Network/networkSecurityGroups/nsg-ir-quarantine-$location"
done

az vm identity remove --ids "$machine" --identities '[system]' --output none

az tag update --operation merge --resource-id "$machine" --output none \
  --tags incident_id="$incident" ir-status=isolated isolated_at="$(date -u +%FT%TZ)"

az monitor activity-log list --subscription "$subscription" --resource-group "$group" --output json \
  --start-time "$(date -u -d "$began -24 hours" +%FT%TZ)" --end-time "$began" > "$folder/activity-log-$name.json"
