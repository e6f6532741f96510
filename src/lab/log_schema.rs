//! The tables that a workspace of the lab has, with their columns (graph-and-data-planes.md section 9).

use super::kql::{Column, Kind};

/// Columns that every table has.
const EVERYWHERE: &[(&str, &str)] = &[(
    "string",
    "TenantId Type SourceSystem _ResourceId _SubscriptionId",
)];

/// Tables: columns by type.
const TABLES: &[(&str, &[(&str, &str)])] = &[
    (
        "SigninLogs",
        &[
            ("datetime", "TimeGenerated CreatedDateTime"),
            (
                "string",
                "ResourceId OperationName OperationVersion Category ResultType ResultSignature \
                 ResultDescription CorrelationId Resource ResourceGroup ResourceProvider Identity Level \
                 Location AlternateSignInName AppDisplayName AppId AuthenticationContextClassReferences \
                 AuthenticationDetails AuthenticationMethodsUsed AuthenticationProcessingDetails \
                 AuthenticationRequirement AuthenticationRequirementPolicies ClientAppUsed \
                 ConditionalAccessStatus Id IPAddress NetworkLocationDetails OriginalRequestId \
                 ProcessingTimeInMilliseconds RiskDetail RiskEventTypes RiskEventTypes_V2 \
                 RiskLevelAggregated RiskLevelDuringSignIn RiskState ResourceDisplayName ResourceIdentity \
                 ResourceServicePrincipalId ServicePrincipalId ServicePrincipalName TokenIssuerName \
                 TokenIssuerType UserAgent UserDisplayName UserId UserPrincipalName AADTenantId UserType \
                 IPAddressFromResourceProvider SignInIdentifier SignInIdentifierType ResourceTenantId \
                 HomeTenantId UniqueTokenIdentifier SessionId SessionLifetimePolicies \
                 AutonomousSystemNumber AuthenticationProtocol CrossTenantAccessType \
                 AuthenticationAppDeviceDetails AuthenticationAppPolicyEvaluationDetails \
                 ClientCredentialType FederatedCredentialId GlobalSecureAccessIpAddress HomeTenantName \
                 IncomingTokenType OriginalTransferMethod AppOwnerTenantId ResourceOwnerTenantId \
                 SourceAppClientId ConditionalAccessAudiences AuthenticatorAppLocation \
                 AppliedConditionalAccessPolicies RiskLevel",
            ),
            (
                "dynamic",
                "AppliedEventListeners ConditionalAccessPolicies DeviceDetail LocationDetails MfaDetail \
                 Status TokenProtectionStatusDetails Agent",
            ),
            (
                "bool",
                "IsInteractive IsRisky FlaggedForReview IsTenantRestricted IsThroughGlobalSecureAccess",
            ),
            ("long", "DurationMs"),
        ],
    ),
    (
        "AADNonInteractiveUserSignInLogs",
        &[
            ("datetime", "TimeGenerated CreatedDateTime"),
            (
                "string",
                "OperationName OperationVersion Category ResultType ResultSignature ResultDescription \
                 CorrelationId ResourceGroup Identity Level Location AADTenantId Agent AlternateSignInName \
                 AppDisplayName AppId AppOwnerTenantId AuthenticationContextClassReferences \
                 AuthenticationDetails AuthenticationMethodsUsed AuthenticationProcessingDetails \
                 AuthenticationProtocol AuthenticationRequirement AuthenticationRequirementPolicies \
                 AuthenticatorAppLocation AutonomousSystemNumber ClientAppUsed ClientCredentialType \
                 ClientSessionId ConditionalAccessAudiences ConditionalAccessPolicies \
                 ConditionalAccessStatus CrossTenantAccessType DeviceDetail FederatedCredentialId \
                 GlobalSecureAccessIpAddress HomeTenantId HomeTenantName Id IncomingTokenType IPAddress \
                 LocationDetails MfaDetail NetworkLocationDetails OriginalRequestId OriginalTransferMethod \
                 ProcessingTimeInMs ResourceDisplayName ResourceIdentity ResourceOwnerTenantId \
                 ResourceServicePrincipalId ResourceTenantId RiskDetail RiskEventTypes RiskEventTypes_V2 \
                 RiskLevelAggregated RiskLevelDuringSignIn RiskState ServicePrincipalId SessionId \
                 SessionLifetimePolicies SignInEventTypes SignInIdentifierType \
                 TokenProtectionStatusDetails Status TokenIssuerName TokenIssuerType UniqueTokenIdentifier \
                 UserAgent UserDisplayName UserId UserPrincipalName UserType",
            ),
            ("dynamic", "AppliedEventListeners"),
            (
                "bool",
                "IsInteractive IsRisky IsTenantRestricted IsThroughGlobalSecureAccess",
            ),
            ("long", "DurationMs"),
        ],
    ),
    (
        "AADServicePrincipalSignInLogs",
        &[
            ("datetime", "TimeGenerated CreatedDateTime"),
            (
                "string",
                "OperationName OperationVersion Category ResultType ResultSignature ResultDescription \
                 CorrelationId ResourceGroup Identity Level Location AppId AppOwnerTenantId \
                 AuthenticationContextClassReferences AutonomousSystemNumber \
                 AuthenticationProcessingDetails ClientCredentialType ConditionalAccessAudiences \
                 ConditionalAccessPolicies ConditionalAccessStatus FederatedCredentialId Id IPAddress \
                 LocationDetails NetworkLocationDetails ResourceDisplayName ResourceIdentity \
                 ResourceOwnerTenantId ResourceServicePrincipalId ServicePrincipalCredentialKeyId \
                 ServicePrincipalCredentialThumbprint ServicePrincipalId ServicePrincipalName SessionId \
                 UniqueTokenIdentifier Agent UserAgent AADTenantId",
            ),
            ("long", "DurationMs"),
        ],
    ),
    (
        "AuditLogs",
        &[
            ("datetime", "TimeGenerated ActivityDateTime"),
            (
                "string",
                "ResourceId OperationName OperationVersion Category ResultType ResultSignature \
                 ResultDescription CorrelationId Resource ResourceGroup ResourceProvider Identity Level \
                 Location Id LoggedByService Result ResultReason AADTenantId ActivityDisplayName \
                 AADOperationType",
            ),
            ("dynamic", "AdditionalDetails InitiatedBy TargetResources"),
            ("long", "DurationMs"),
        ],
    ),
    (
        "AzureActivity",
        &[
            ("datetime", "EventSubmissionTimestamp TimeGenerated"),
            (
                "string",
                "OperationName OperationNameValue Level ActivityStatus ActivityStatusValue \
                 ActivitySubstatus ActivitySubstatusValue ResourceGroup SubscriptionId CorrelationId \
                 Caller CallerIpAddress Category CategoryValue HTTPRequest Properties Authorization \
                 ResourceId OperationId ResourceProvider ResourceProviderValue Resource EventDataId Claims \
                 Hierarchy",
            ),
            ("dynamic", "Authorization_d Claims_d Properties_d"),
        ],
    ),
    (
        "AzureDiagnostics",
        &[
            ("datetime", "TimeGenerated"),
            (
                "string",
                "ResourceId Category ResourceGroup SubscriptionId ResourceProvider Resource ResourceType \
                 OperationName ResultType CorrelationId ResultDescription CallerIPAddress clientInfo_s \
                 httpStatusCode_s id_s identity_claim_ipaddr_s Level OperationVersion properties_s \
                 properties_sku_Family_s properties_sku_Name_s Region_s requestUri_s ResultSignature \
                 addedAccessPolicy_TenantId_g addedAccessPolicy_Permissions_certificates_s \
                 addedAccessPolicy_Permissions_secrets_s addedAccessPolicy_Permissions_keys_s \
                 identity_claim_http_schemas_xmlsoap_org_ws_2005_05_identity_claims_upn_s \
                 addedAccessPolicy_ObjectId_g removedAccessPolicy_ObjectId_g \
                 identity_claim_http_schemas_microsoft_com_identity_claims_objectidentifier_g \
                 identity_claim_oid_g identity_claim_upn_s",
            ),
            ("long", "DurationMs"),
            ("real", "httpStatus_d httpStatusCode_d"),
            ("guid", "identity_claim_appid_g properties_tenantId_g"),
            (
                "bool",
                "isAccessPolicyMatch_b properties_enabledForDeployment_b \
                 properties_enabledForDiskEncryption_b properties_enabledForTemplateDeployment_b",
            ),
        ],
    ),
];

/// Returns a table's name as the service writes it, with its columns.
pub(super) fn table(name: &str) -> Option<(&'static str, Vec<Column>)> {
    // Names of tables are case-sensitive.
    let (name, columns) = TABLES.iter().find(|(known, _)| *known == name)?;
    let typed = columns.iter().chain(EVERYWHERE).flat_map(|(kind, names)| {
        // The tables above name no other types.
        let kind = Kind::read(kind).unwrap_or(Kind::Dynamic);
        let names = names.split_whitespace();
        names.map(move |column| Column::new(column, kind))
    });
    Some((name, typed.collect()))
}
